package siginfo

import "syscall"

// IgnoredAtStart is false: nothing is inherited here.
func IgnoredAtStart(syscall.Signal) bool { return false }

// Ignore does nothing.
func Ignore(syscall.Signal) {}

// Die returns at once: nobody dies of a signal here.
func Die(syscall.Signal) {}

func stopSelf() {}

const sigCont = syscall.Signal(-1) // there is none
