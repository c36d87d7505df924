//go:build unix && !linux

package siginfo

import "syscall"

var catchableHere []syscall.Signal
