package hook

import "os/exec"

// ownGroup: what the hook started outlives it when it is killed.
func ownGroup(*exec.Cmd) {}
