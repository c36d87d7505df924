//go:build unix

package source

import (
	"os/exec"
	"syscall"
)

// processArgv is how a credential_process is run: without a shell, as by the AWS CLI. What a
// shell would see more in goes to one, as in most SDKs; the AWS CLI gives it to the
// program as it stands.
func processArgv(line string) ([]string, error) {
	words, shell, err := scanWords(line)
	if shell {
		return []string{"sh", "-c", line}, nil
	}
	return words, err
}

// alone gives c a session of its own: one without a terminal, so that a program that
// asks there fails at once, rather than to be stopped in the background while a person
// types the answer for the shell to read. It is killed with what it started when its
// context ends.
func alone(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Cancel = func() error { return killGroup(c) }
}

func killGroup(c *exec.Cmd) error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
