//go:build !unix

package source

import (
	"os"
	"os/exec"
)

// shell is how the SDKs run credential_process.
func shell(command string) []string { return []string{"cmd.exe", "/C", command} }

// alone does nothing: only the command itself is killed when its context ends,
// and what it started lives on.
func alone(*exec.Cmd) {}

func killGroup(c *exec.Cmd) error { return c.Process.Kill() }

// terminal is for systems on which it can be lent to a program.
type terminal struct{ *os.File }

func openTerminal() *terminal { return nil }

func (t *terminal) back()        {}
func (t *terminal) errors() bool { return false }
