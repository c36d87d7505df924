//go:build unix

package integration

import (
	"encoding/json"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// status is a line of `brs-exec status --json`.
type status struct {
	PID, Child, Starts       int
	Command, Source          string
	Key, Error, LivesOn      string
	Since, Expires, Next     time.Time
	Ends                     time.Time // of the source
	Refreshed, Failed, Stale int
}

// status asks for that of a running brs-exec; zero if it has none.
func (w *world) status(p *process) (s status) {
	w.t.Helper()
	cmd := exec.Command(brsExec(w.t), "status", "--json", strconv.Itoa(p.cmd.Process.Pid))
	cmd.Env = w.environ()
	out, err := cmd.Output()
	if cmd.ProcessState.ExitCode() == 3 {
		return status{}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(out, &s); err != nil {
		w.t.Fatalf("%q: %v", out, err)
	}
	return s
}

// TestStatus follows one run from outside.
func TestStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 8*time.Second)
	begin := time.Now()
	p := w.startChild()
	var s status
	eventually(t, patience, "the first credentials", func() bool { s = w.status(p); return s.Key != "" && s.Child != 0 })
	if s.Command != "gov2" || s.Starts != 1 || s.Source != "environment variables → "+roleARN || s.Since.Before(begin.Add(-time.Second)) || s.Failed != 0 {
		t.Errorf("status %+v", s)
	}
	if !s.Expires.After(s.Next) {
		t.Errorf("the next refresh is at %v, the end at %v", s.Next, s.Expires)
	}
	eventually(t, patience, "other credentials", func() bool { now := w.status(p); return now.Refreshed > 0 && now.Key != s.Key })

	w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Unavailable})
	eventually(t, patience, "failures", func() bool { s = w.status(p); return s.Failed > 1 })
	if !strings.Contains(s.Error, "ServiceUnavailable") {
		t.Errorf("the error is %q, want the server's answer", s.Error)
	}
	table := func(pid ...string) (string, error) {
		cmd := exec.Command(brsExec(t), append([]string{"status"}, pid...)...)
		cmd.Env = w.environ()
		out, err := cmd.Output()
		return string(out), err
	}
	if out, err := table(); err != nil || !strings.Contains(out, s.Key) { // and runs of other tests
		t.Errorf("%v, printed:\n%s", err, out)
	}
	out, err := table(strconv.Itoa(p.cmd.Process.Pid))
	if lines := strings.Split(out, "\n"); err != nil || len(lines) < 4 || !strings.HasPrefix(lines[0], "gov2 (") || !strings.Contains(lines[1], s.Key) || !strings.Contains(out, "ServiceUnavailable") {
		t.Errorf("%v, printed:\n%s", err, out)
	}
	w.server.SetFaults()
	eventually(t, patience, "a recovery", func() bool { s = w.status(p); return s.Failed == 0 && s.Error == "" })

	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if s := w.status(p); s != (status{}) {
		t.Errorf("after the end: %+v", s)
	}
}
