package hook

import "os/exec"

// newProcessGroup does nothing: a hook that has to go is killed, what it started is not.
func newProcessGroup(*exec.Cmd) {}
