package supervisor

import (
	"strings"
	"syscall"

	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// Windows knows os.Interrupt (Ctrl-C, which the console also sends to the child)
// and an end by force. There is nothing to forward, no group and no job control;
// TERM and KILL both end the child at once.

const maxSignal = 15

var signalNames = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "ABRT": syscall.SIGABRT,
	"KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM,
}

var childSignals []syscall.Signal // the waiter's goroutine tells

func forwarded() []syscall.Signal { return []syscall.Signal{syscall.SIGINT} }

func holdPipe() {}

func aboutLimit(siginfo.Info) bool { return false }

func signalNumber(name string) syscall.Signal { return signalNames[strings.ToUpper(name)] }

func signalName(sig syscall.Signal) string {
	for name, number := range signalNames {
		if number == sig {
			return name
		}
	}
	return ""
}
