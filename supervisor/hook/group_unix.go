//go:build unix

package hook

import (
	"os/exec"
	"syscall"
)

// ownGroup lets the hook be killed together with what it started, and keeps
// what is typed at a terminal from it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
