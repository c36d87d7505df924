package integration

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// leaving is a command that leaves a process behind, once that is there, which goes on
// until its standard input ends: it looks for keys whenever it reads a line.
const leaving = `mkfifo there; exec 3<&0; setsid sh -c 'echo pid $$; echo >there; while read line <&3; do
	if grep -q aws_session_token "$AWS_SHARED_CREDENTIALS_FILE" 2>/dev/null; then echo has keys; else echo has none; fi; done' & read x <there; exit 4`

func leftPID(t *testing.T, p *process) int {
	t.Helper()
	pid := 0
	eventually(t, patience, "the process that is left says its id", func() bool {
		for _, line := range p.stdout.lines() {
			if n, ok := strings.CutPrefix(line, "pid "); ok {
				pid, _ = strconv.Atoi(n)
			}
		}
		return pid != 0
	})
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	return pid
}

// TestLeftBehind: what goes on when the command has ended loses its credentials.
// That is said, with its name; and of a command that leaves nothing, nothing is.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--log-level=warn", "--subreaper"} {
		w := newWorld(t, time.Hour)
		w.leaves = true // its name, where others could take it
		p := w.brsExec(flag, "--role-arn", roleARN, "--", "sh", "-c", leaving)
		pid := leftPID(t, p)
		if code := p.exit(); code != 4 {
			t.Errorf("%s: exit code %d, want 4", flag, code)
		}
		want := regexp.MustCompile(`(?m)^brs-exec: .* level=WARN msg="the command has ended; what it leaves running gets no more credentials" processes="\[` + strconv.Itoa(pid) + ` \(sh\)\]" count=1 hint="--wait-for-descendants `)
		if !want.MatchString(p.stderr.String()) {
			t.Errorf("%s: %q is not said:\n%s", flag, want, p.stderr.String())
		}
	}
	w := newWorld(t, time.Hour)
	p := w.brsExec("--role-arn", roleARN, "--", "sh", "-c", "sleep 0 & wait; exit 4")
	if code := p.exit(); code != 4 || p.stderr.String() != "" {
		t.Errorf("exit code %d, %s", code, p.stderr.String())
	}
}

// TestWaitForDescendants: brs-exec stays as long as they do, and their credentials
// with it; a signal ends the wait, and the exit code is the command's.
func TestWaitForDescendants(t *testing.T) {
	t.Parallel()
	for _, byUs := range []bool{false, true} {
		t.Run("told to end "+strconv.FormatBool(byUs), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 8*time.Second)
			w.leaves = byUs
			p := w.brsExec("--wait-for-descendants", "--role-arn", roleARN, "--", "sh", "-c", leaving)
			pid := leftPID(t, p)
			eventually(t, patience, "the command has ended", func() bool {
				// Its parent is no shell any more, but the brs-exec that adopts.
				stat, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
				_, rest, _ := strings.Cut(string(stat), ") ")
				return strings.Contains(rest, " "+strconv.Itoa(p.cmd.Process.Pid)+" ")
			})
			refreshed := len(w.server.Calls())
			eventually(t, patience, "two more refreshes, or the end", func() bool {
				return len(w.server.Calls()) >= refreshed+2 || p.ended()
			})
			if p.ended() {
				t.Fatalf("brs-exec has ended\n%s", p.stderr.String())
			}
			p.stdin.(interface{ Write([]byte) (int, error) }).Write([]byte("line\n"))
			eventually(t, patience, "an answer", func() bool { return strings.Contains(p.stdout.String(), "has ") })
			if !strings.Contains(p.stdout.String(), "has keys") || p.ended() {
				t.Errorf("brs-exec has ended: %v\n%s%s", p.ended(), p.stdout.String(), p.stderr.String())
			}
			if byUs {
				p.signal(syscall.SIGTERM)
			} else {
				p.stdin.Close()
			}
			if code := p.exit(); code != 4 {
				t.Errorf("exit code %d, want 4: %s", code, p.stderr.String())
			}
			if said := strings.Contains(p.stderr.String(), "leaves running"); said != byUs {
				t.Errorf("said of what is left behind: %v, want %v", said, byUs)
			}
		})
	}
}
