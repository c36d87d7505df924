//go:build unix

package source

import (
	"os/exec"
	"syscall"
)

// shell is how the SDKs run credential_process.
func shell(command string) []string { return []string{"sh", "-c", command} }

// alone gives c a session of its own: one without a terminal, so that a program that
// asks there fails at once, rather than to be stopped in the background while a person
// types the answer for the shell to read. It is killed with what it started when its
// context ends.
func alone(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Cancel = func() error { return killGroup(c) }
}

func killGroup(c *exec.Cmd) error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
