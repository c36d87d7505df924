//go:build unix

package integration

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// TestSignOfLife: who looks at a terminal is told what is waited for; a log is not.
func TestSignOfLife(t *testing.T) {
	slow(t)
	t.Parallel()
	const line = "brs-exec: waiting for credentials from environment variables → " + roleARN + " (Ctrl-C ends)"
	args := []string{"--start-timeout", "6s", "--role-arn", roleARN, "--", "true"}
	w := newWorld(t, time.Hour)
	w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.BlackHole})
	for name, quiet := range map[string][]string{"a terminal": nil, "a terminal, and quiet": {"--quiet"}} {
		master, slave, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer master.Close()
		cmd := exec.Command(brsExec(t), append(quiet, args...)...)
		cmd.Env, cmd.Stderr = w.environ(), slave
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 2}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		slave.Close()
		var screen strings.Builder
		for buf := make([]byte, 1024); ; {
			n, err := master.Read(buf) // EIO when nobody has the terminal any more
			screen.Write(buf[:n])
			if err != nil {
				break
			}
		}
		cmd.Wait()
		want := 1
		if quiet != nil {
			want = 0
		}
		if got := strings.Count(screen.String(), line); got != want {
			t.Errorf("%s shows the line %d times, want %d:\n%s", name, got, want, screen.String())
		}
	}
	p := w.brsExec(args...)
	if code := p.exit(); code != 125 {
		t.Errorf("exit code %d, want 125", code)
	}
	if strings.Contains(p.stderr.String(), "waiting for") {
		t.Errorf("standard error, which is no terminal: %s", p.stderr.String())
	}
}
