//go:build unix

package source

import (
	"os/exec"
	"syscall"
)

// shell is how the SDKs run credential_process.
func shell(command string) []string { return []string{"sh", "-c", command} }

// ownGroup makes c the leader of a process group, which is killed as a whole when
// its context ends.
func ownGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return killGroup(c) }
}

func killGroup(c *exec.Cmd) error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
