//go:build unix

package supervisor

import (
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"brs-exec/supervisor/siginfo"
)

// childSignals tell that something happened to a child.
var childSignals = []syscall.Signal{unix.SIGCHLD}

// holdPipe keeps the Go runtime from dying of a write to a standard error that
// nobody reads.
func holdPipe() {
	if siginfo.IgnoredAtStart(unix.SIGPIPE) {
		signal.Ignore(unix.SIGPIPE)
	} else {
		signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	}
}

// forwarded lists what is passed on to the child. It has no
//   - KILL, STOP, ILL, TRAP, BUS, FPE, SEGV, SYS, STKFLT, and 32 to 34: the
//     kernel or the Go runtime don't let them be caught;
//   - CHLD: about our own child;
//   - PIPE: about our own writes;
//   - URG: the Go runtime sends it to itself all the time;
//   - PROF: the profiler's own;
//   - TTIN, TTOU: the terminal's answer to our own reads and writes in the
//     background, on which we have to stop.
func forwarded() []syscall.Signal {
	list := []syscall.Signal{
		unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGABRT, unix.SIGUSR1, unix.SIGUSR2,
		unix.SIGALRM, unix.SIGTERM, unix.SIGCONT, unix.SIGTSTP, unix.SIGXCPU, unix.SIGXFSZ,
		unix.SIGVTALRM, unix.SIGWINCH, unix.SIGIO,
	}
	return append(list, forwardedHere...)
}

func signalNumber(name string) syscall.Signal {
	if sig := realtimeNumber(name); sig != 0 {
		return sig
	}
	return unix.SignalNum("SIG" + name)
}

func signalName(sig syscall.Signal) string {
	if name := realtimeName(sig); name != "" {
		return name
	}
	return strings.TrimPrefix(unix.SignalName(sig), "SIG")
}
