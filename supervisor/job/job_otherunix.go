//go:build unix && !linux

package job

import "syscall"

// On these systems there is no cheap way to learn who else is in our process
// group, so the child always shares it: a signal that is sent to us alone while
// we are in the foreground (INT, QUIT, WINCH, TSTP) does not reach the child,
// and there is no parent-death signal.

func alone() bool { return false }

func setPdeathsig(*syscall.SysProcAttr, syscall.Signal) {}

func blockTTOU() (restore func()) { return func() {} }

// Inherited would list the descriptors from 3 up that we were given. Here they
// stay open in us as long as we live.
func Inherited() []int { return nil }
