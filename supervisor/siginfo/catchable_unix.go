//go:build unix

package siginfo

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Catchable lists the signals that can be caught, and mean something to a process
// that stands for another. Not among them are
//   - KILL, STOP, ILL, TRAP, BUS, FPE, SEGV, SYS, STKFLT, and 32 to 34: the
//     kernel or the Go runtime don't let them be caught;
//   - CHLD: about our own child;
//   - PIPE: about our own writes;
//   - URG: the Go runtime sends it to itself all the time;
//   - PROF: the profiler's own;
//   - TTIN, TTOU: the terminal's answer to our own reads and writes in the
//     background, on which we have to stop.
func Catchable() []syscall.Signal {
	list := []syscall.Signal{
		unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGABRT, unix.SIGUSR1, unix.SIGUSR2,
		unix.SIGALRM, unix.SIGTERM, unix.SIGCONT, unix.SIGTSTP, unix.SIGXCPU, unix.SIGXFSZ,
		unix.SIGVTALRM, unix.SIGWINCH, unix.SIGIO,
	}
	return append(list, catchableHere...)
}

const sigCont = unix.SIGCONT
