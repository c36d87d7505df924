//go:build unix

package supervisor

import (
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// childSignals tell that something happened to a child.
var childSignals = []syscall.Signal{unix.SIGCHLD}

// holdPipe keeps the Go runtime from dying of a write to a standard error that
// nobody reads.
func holdPipe() {
	if siginfo.IgnoredAtStart(unix.SIGPIPE) {
		signal.Ignore(unix.SIGPIPE)
	} else {
		siginfo.SurvivePipe()
	}
}

func forwarded() []syscall.Signal { return siginfo.Catchable() }

// aboutLimit tells that a limit of this process has been reached (setrlimit(2)), which is no
// matter of the child: a file that we have written to is as long as a file may be, or our
// processor time is used up. As sender of the former Linux has the process that wrote.
func aboutLimit(sig siginfo.Info) bool {
	ours := sig.Origin == siginfo.Kernel || sig.Origin == siginfo.Process && sig.PID == os.Getpid()
	return ours && (sig.Signal == unix.SIGXFSZ || sig.Signal == unix.SIGXCPU)
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
