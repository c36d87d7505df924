package cli

import "os/exec"

// apart does nothing: the browser has no console.
func apart(*exec.Cmd) {}
