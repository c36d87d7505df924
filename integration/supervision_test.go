//go:build unix

package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestRestart: a command that fails is started again, as often as was asked for,
// and its last exit code is ours.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	p := w.brsExec("--restart", "on-failure", "--restart-max", "2", "--", "sh", "-c", "echo start; exit 4")
	if code := p.exit(); code != 4 {
		t.Errorf("exit code %d, want 4: %s", code, p.stderr.String())
	}
	if got := len(p.stdout.lines()); got != 3 {
		t.Errorf("%d starts, want 3", got)
	}
	once := w.brsExec("--restart", "on-failure", "--", "sh", "-c", "echo start")
	if code := once.exit(); code != 0 || len(once.stdout.lines()) != 1 {
		t.Errorf("exit code %d, %d starts, want 0 and 1", code, len(once.stdout.lines()))
	}
}

// TestVariables: a program that reads nothing but its environment is stopped
// with grace and started with new keys before the old ones end.
func TestVariables(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 6*time.Second)
	w.reveals = true
	p := w.brsExec("--role-arn", roleARN, "--deliver", "env", "--on-refresh", "restart", "--",
		"sh", "-c", `trap 'echo grace; exit 0' TERM; echo "start $AWS_ACCESS_KEY_ID ${AWS_SESSION_TOKEN:+token} ${AWS_PROFILE-none}"; while :; do sleep 0.1; done`)
	keys := map[string]bool{}
	eventually(t, patience, "four starts, each with other keys", func() bool {
		for _, line := range p.stdout.lines() {
			var key string
			if n, _ := fmt.Sscanf(line, "start %s token none", &key); n == 1 {
				keys[key] = true
			}
		}
		return len(keys) >= 4
	})
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want the command's 0: %s", code, p.stderr.String())
	}
	if got := strings.Count(p.stdout.String(), "grace"); got < 4 {
		t.Errorf("the command was stopped with grace %d times, want 4", got)
	}
}

// TestLock: a second run with the same lock does not start its command.
func TestLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	name := w.path("job.lock")
	first := w.brsExec("--lock", name, "--", "sh", "-c", "echo up; read -r _")
	eventually(t, patience, "the first run", func() bool { return len(first.stdout.lines()) > 0 })
	second := w.brsExec("--lock", name, "--", "touch", w.path("marker"))
	if code := second.exit(); code != 75 {
		t.Errorf("exit code %d, want 75", code)
	}
	if got, want := second.stderr.String(), "brs-exec: error: lock "+name+": held by "; !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("standard error %q, want one line, %q", got, want)
	}
	first.stdin.Close()
	if code := first.exit(); code != 1 { // of read at the end of its input
		t.Errorf("exit code %d of the first run", code)
	}
	third := w.brsExec("--lock", name, "--", "touch", w.path("marker"))
	if code := third.exit(); code != 0 {
		t.Errorf("exit code %d once the lock is free: %s", code, third.stderr.String())
	}
	if _, err := os.Stat(w.path("marker")); err != nil {
		t.Error(err)
	}
}

// service is the service manager's end of sd_notify(3).
type service struct {
	mu  sync.Mutex
	got []string
}

func (s *service) listen(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.got = append(s.got, string(buf[:n]))
			s.mu.Unlock()
		}
	}()
	return path
}

// count returns how many messages begin with prefix.
func (s *service) count(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.got {
		if strings.HasPrefix(m, prefix) {
			n++
		}
	}
	return n
}

// TestServiceManager: systemd is told when the command runs, what is renewed,
// that we are alive and that the end has come; the command is not told of it.
func TestServiceManager(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4*time.Second)
	var s service
	w.env["NOTIFY_SOCKET"], w.env["WATCHDOG_USEC"] = s.listen(t), "400000"
	p := w.brsExec("--role-arn", roleARN, "--", "sh", "-c", `echo "${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none}"; read -r _; exit 0`)
	eventually(t, patience, "two renewals", func() bool { return s.count("RELOADING=1\nMONOTONIC_USEC=") >= 2 })
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr.String())
	}
	if got := strings.TrimSpace(p.stdout.String()); got != "none none" {
		t.Errorf("the command sees %q", got)
	}
	eventually(t, patience, "the end", func() bool { return s.count("STOPPING=1") == 1 })
	for prefix, least := range map[string]int{"READY=1": 3, "STATUS=credentials expire ": 3, "WATCHDOG=1": 10} {
		if got := s.count(prefix); got < least {
			t.Errorf("%d times %s, want %d", got, prefix, least)
		}
	}

	own := w.brsExec("--role-arn", roleARN, "--notify-child", "--", "sh", "-c", `echo "${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none}"`)
	if code := own.exit(); code != 0 {
		t.Fatalf("exit code %d: %s", code, own.stderr.String())
	}
	if got, want := strings.TrimSpace(own.stdout.String()), w.env["NOTIFY_SOCKET"]+" 400000"; got != want {
		t.Errorf("the command sees %q, want %q", got, want)
	}
}

// TestCredentialsFile: the user's file has the current keys while the command
// runs, and is as it was afterwards.
func TestCredentialsFile(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 6*time.Second)
	const before = "# mine\r\n[default]\r\nregion = eu-west-1\r\n[other]\r\naws_access_key_id = AKIDOTHER"
	path := w.write("shared", before)
	p := w.brsExec("--role-arn", roleARN, "--credentials-file", path, "--credentials-file-profile", "app", "--", "sh", "-c", "echo up; read -r _; exit 0")
	keys := map[string]bool{}
	eventually(t, patience, "three sets of credentials", func() bool {
		text := w.read("shared")
		if _, rest, ok := strings.Cut(text, "[app]"); ok {
			_, value, _ := strings.Cut(rest, "aws_access_key_id = ")
			if key, _, _ := strings.Cut(value, "\r\n"); key != "" {
				keys[key] = true
			}
		}
		if len(p.stdout.lines()) > 0 && !strings.HasPrefix(text, before) {
			t.Errorf("something else was changed:\n%s", text)
		}
		return len(keys) >= 3
	})
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
	if got := w.read("shared"); got != before {
		t.Errorf("left behind:\n%q\nwant\n%q", got, before)
	}
}

// TestWorkingDirectory: the command starts where we were, and then we let go of
// the place; what relative paths mean does not change with that.
func TestWorkingDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4*time.Second)
	w.write("keys", `#!/bin/sh
pwd >>asked
exec "$BRS" credentials --role-arn `+roleARN+"\n")
	if err := os.Chmod(w.path("keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.env["BRS"] = brsExec(t)
	p := w.brsExec("--credential-command", "./keys", "--", "sh", "-c", `pwd; read -r _; exit 0`)
	eventually(t, patience, "refreshes by a relative path", func() bool { return strings.Count(w.read("asked"), w.dir+"\n") >= 3 })
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.cmd.Process.Pid)); err == nil && cwd == w.dir {
		// It may be there for a moment, to ask.
		eventually(t, patience, "leaving the directory", func() bool {
			cwd, _ = os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.cmd.Process.Pid))
			return cwd == "/"
		})
	}
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
	if got := strings.TrimSpace(p.stdout.String()); got != w.dir {
		t.Errorf("the command started in %s, want %s", got, w.dir)
	}
}
