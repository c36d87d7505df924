//go:build !linux

package supervisor

import "syscall"

// handles can't be known here, so a signal is only sent if it is insisted on.
func handles(int, syscall.Signal) bool { return false }
