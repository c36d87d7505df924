//go:build unix && !linux

package supervisor

import (
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieOf works here for the signals that os/signal can reset; for others (SEGV,
// BUS, …) it returns, and the exit code 128+n has to do.
func dieOf(sig syscall.Signal) {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
	switch sig {
	case unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS, unix.SIGABRT, unix.SIGQUIT:
		return // the Go runtime would print a traceback
	}
	signal.Reset(sig)
	if unix.Kill(unix.Getpid(), sig) == nil {
		select {} // until it arrives
	}
}
