//go:build unix

package cli

import (
	"os/exec"
	"syscall"
)

// apart lets Ctrl-C here not end the browser.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
