package hook

import "os/exec"

// leadGroup does nothing: a hook that has to go is killed, what it started is not.
func leadGroup(*exec.Cmd) {}
