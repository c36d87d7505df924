//go:build unix && !linux

package supervisor

import "syscall"

// There is no parent-death signal here: the child lives on.

func lockForGood() {}

func followStage(syscall.Signal) {}
