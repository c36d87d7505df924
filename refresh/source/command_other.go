//go:build !unix

package source

import "os/exec"

// shell is how the SDKs run credential_process.
func shell(command string) []string { return []string{"cmd.exe", "/C", command} }

// ownGroup does nothing: only the command itself is killed when its context ends,
// and what it started lives on.
func ownGroup(*exec.Cmd) {}

func killGroup(c *exec.Cmd) error { return c.Process.Kill() }
