package integration

import (
	"strings"
	"testing"
	"time"
)

// TestFileSizeLimit: a file of ours that is as long as a file may be (ulimit -f) is no matter of
// the command. The kernel tells that by XFSZ, which ends who does not handle it.
func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	const limit = 64 << 10
	w.write("events.jsonl", strings.Repeat("\n", limit))
	p := w.start("sh", "-c", `ulimit -c 0; ulimit -f 128; exec "$0" "$@"`, brsExec(t), "--role-arn", roleARN, "--events", "events.jsonl",
		"--", "sh", "-c", "cat; echo lives; exit 3")
	eventually(t, patience, "a write too much", func() bool { return strings.Contains(p.stderr.String(), "file too large") })
	p.stdin.Close()
	if code := p.exit(); code != 3 || !strings.Contains(p.stdout.String(), "lives") {
		t.Errorf("exit code %d\n%s%s", code, p.stdout.String(), p.stderr.String())
	}
}
