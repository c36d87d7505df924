//go:build unix && !linux

package siginfo

import (
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// IgnoredAtStart reports whether sig was ignored when this process was started;
// here only known of HUP and INT (nohup, a shell's background job).
func IgnoredAtStart(sig syscall.Signal) bool { return signal.Ignored(sig) }

// Ignore makes this process ignore sig, and those that it starts.
func Ignore(sig syscall.Signal) { signal.Ignore(sig) }

// Die makes this process die of sig, without dumping core. It returns if that is
// impossible: here also for the signals at which the Go runtime would print a
// traceback.
func Die(sig syscall.Signal) {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
	switch sig {
	case unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGKILL, unix.SIGPIPE, unix.SIGALRM, unix.SIGUSR1, unix.SIGUSR2:
		signal.Reset(sig)
		if unix.Kill(unix.Getpid(), sig) == nil {
			select {} // until it arrives
		}
	}
}

// stopSelf stops this process, and returns when it is continued (or shortly before
// it is stopped, if another thread takes the signal).
func stopSelf() { _ = unix.Kill(unix.Getpid(), unix.SIGSTOP) }

var catchableHere []syscall.Signal
