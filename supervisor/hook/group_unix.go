//go:build unix

package hook

import (
	"os/exec"
	"syscall"
)

// newProcessGroup gives the command a process group of its own, and kills the group
// when the command has to go.
func newProcessGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
