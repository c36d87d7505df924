package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// viaJournal begins the arguments of sh as systemd begins a unit whose standard error is
// the journal.
const viaJournal = `export JOURNAL_STREAM=$(stat -L -c %d:%i /dev/stderr); exec "$0" "$@"`

// TestJournalPriorities: where standard error is the journal, each line has its priority,
// and no time.
func TestJournalPriorities(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	for _, tt := range []struct {
		name, script string
		want         []string
	}{
		{"the journal", viaJournal, []string{"<6>brs-exec: level=INFO msg=source ", "<6>brs-exec: level=INFO msg=\"exit 3 after "}},
		{"standard error leads elsewhere", `export JOURNAL_STREAM=8:1; exec "$0" "$@"`, []string{"brs-exec: time="}},
	} {
		p := w.start("sh", "-c", tt.script, brsExec(t), "--role-arn", roleARN, "--log-level", "info", "--", "sh", "-c", "exit 3")
		if code := p.exit(); code != 3 {
			t.Errorf("%s: exit code %d", tt.name, code)
		}
		lines := p.stderr.lines()
		for _, want := range tt.want {
			if !strings.HasPrefix(lines[0], want) && !strings.HasPrefix(lines[len(lines)-1], want) {
				t.Errorf("%s: no first or last line %s in\n%s", tt.name, want, p.stderr.String())
			}
		}
	}
	p := w.start("sh", "-c", viaJournal, brsExec(t), "--role-arn", "x", "--", "true")
	if code := p.exit(); code != 125 || !strings.HasPrefix(p.stderr.String(), "<3>brs-exec: error: ") || !strings.Contains(p.stderr.String(), "\n<3>brs-exec: hint: ") {
		t.Errorf("exit code %d, %q", code, p.stderr.String())
	}
}

// TestJournal: the real journal knows the priorities that `journalctl -p` asks for.
func TestJournal(t *testing.T) {
	t.Parallel()
	const journald = "/lib/systemd/systemd-journald"
	if _, err := os.Stat(journald); err != nil {
		t.Skip("no journald here")
	}
	if os.Geteuid() != 0 || exec.Command("unshare", "-m", "true").Run() != nil {
		t.Skip("needs root and a mount namespace")
	}
	w := newWorld(t, time.Hour)
	script := `set -e
mount -t tmpfs none /run
mkdir -p /run/systemd/journal /run/log/journal "$XDG_RUNTIME_DIR"
` + journald + ` >&- 2>&- & journal=$!
until [ -S /run/systemd/journal/io.systemd.journal ] && systemd-cat -t ready true; do kill -0 $journal; sleep 0.05; done
systemd-cat -t brs-exec sh -c '` + viaJournal + `' "$@" || true
journalctl --sync
journalctl -o json -p info SYSLOG_IDENTIFIER=brs-exec
kill $journal; wait $journal || true`
	p := w.start("unshare", "-m", "--propagation", "private", "bash", "-c", script, "bash",
		brsExec(t), "--role-arn", roleARN, "--log-level", "debug", "--", "false")
	if code := p.exit(); code != 0 {
		t.Skipf("the journal does not run here: %s", p.stderr.String())
	}
	got := map[string]string{}
	for _, line := range p.stdout.lines() {
		var entry struct{ PRIORITY, MESSAGE string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		_, what, _ := strings.Cut(entry.MESSAGE, " msg=")
		what, _, _ = strings.Cut(strings.Trim(what, `"`), " ")
		got[what] = entry.PRIORITY
		if strings.HasPrefix(entry.MESSAGE, "<") || strings.Contains(entry.MESSAGE, "time=") {
			t.Errorf("message %q", entry.MESSAGE)
		}
	}
	if got["exit"] != "6" || got["source"] != "6" {
		t.Errorf("priorities %v, printed\n%s", got, p.stdout.String())
	}
}
