package integration

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestKillable: whatever brs-exec waits for before the command is started, a
// signal that asks for the end ends it, and leaves no run directory.
func TestKillable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args string // FIFO stands for a pipe that nobody writes to
	}{
		{"configuration", "--config FIFO -- true"},
		{"certificate", "--iot-endpoint iot.example.com --iot-role-alias alias --certificate FIFO --private-key FIFO -- true"},
		{"certificate of a role", "--trust-anchor-arn arn:aws:rolesanywhere:eu-central-1:123456789012:trust-anchor/a --rolesanywhere-profile-arn arn:aws:rolesanywhere:eu-central-1:123456789012:profile/b --role-arn " + roleARN + " --certificate FIFO --private-key FIFO -- true"},
		{"policy", "--role-arn " + roleARN + " --policy @FIFO -- true"},
		{"secret of MFA", "--role-arn " + roleARN + " --mfa-serial arn:aws:iam::123456789012:mfa/me --mfa-totp-file FIFO -- true"},
		{"credentials", "credentials --config FIFO"},
		{"doctor with a command", "doctor --config FIFO -- true"},
		{"doctor, asking", "doctor --ask --credential-command FIFO -- true"},
		{"as a subreaper", "--subreaper --role-arn " + roleARN + " --mfa-serial arn:aws:iam::123456789012:mfa/me --mfa-totp-file FIFO -- true"},
	} {
		for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT} {
			t.Run(tt.name+" "+unix.SignalName(sig), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, time.Hour)
				fifo := w.path("fifo")
				if err := unix.Mkfifo(fifo, 0o600); err != nil {
					t.Fatal(err)
				}
				args := tt.args
				if strings.Contains(args, "--credential-command") {
					script := w.write("script", "#!/bin/sh\nexec cat "+fifo+"\n")
					if err := os.Chmod(script, 0o700); err != nil {
						t.Fatal(err)
					}
					args = strings.ReplaceAll(args, "FIFO", script)
				}
				p := w.brsExec(strings.Fields(strings.ReplaceAll(args, "FIFO", fifo))...)
				opened := make(chan *os.File)
				go func() {
					f, err := os.OpenFile(fifo, os.O_WRONLY, 0) // returns when it is read
					if err != nil {
						t.Error(err)
					}
					opened <- f
				}()
				select {
				case f := <-opened:
					defer f.Close()
				case <-p.done:
					t.Errorf("it does not read the pipe: %s", p.stderr.String())
					f, err := os.OpenFile(fifo, os.O_RDONLY|unix.O_NONBLOCK, 0) // lets the goroutine go
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					(<-opened).Close()
					return
				}
				p.signal(sig)
				if code := p.exit(); code != 128+int(sig) {
					t.Errorf("exit code %d, want %d", code, 128+int(sig))
				}
				if stderr := p.stderr.String(); strings.Contains(stderr, "goroutine") {
					t.Error("a stack was printed")
				}
			})
		}
	}
}

// TestClosedOutput: a subcommand whose output nobody reads ends as any program does.
func TestClosedOutput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	for _, args := range []string{"help", "doctor -- ls", "completion bash"} {
		r, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		cmd := exec.Command(brsExec(t), strings.Fields(args)...)
		var stderr strings.Builder
		cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = w.environ(), w.dir, out, &stderr
		cmd.Run()
		out.Close()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !status.Signaled() || status.Signal() != unix.SIGPIPE || stderr.String() != "" {
			t.Errorf("%s: %v, want death by SIGPIPE: %s", args, cmd.ProcessState, stderr.String())
		}
	}
}
