//go:build unix

package supervisor

import (
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// hold is Hold; see [forwarded] for the list.
func (s *Signals) hold() {
	var catch []os.Signal
	for _, sig := range forwarded() {
		if ignoredAtStart(sig) {
			s.ignored = append(s.ignored, sig)
		} else {
			catch = append(catch, sig)
		}
	}
	signal.Notify(s.caught, catch...)
	signal.Notify(s.child, unix.SIGCHLD)
	s.respect()
	if ignoredAtStart(unix.SIGPIPE) {
		signal.Ignore(unix.SIGPIPE)
	} else {
		signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	}
}

// respect makes a process that is started from now on ignore what we were
// started to ignore. Until heed is called, so do we.
func (s *Signals) respect() {
	for _, sig := range s.ignored {
		signal.Ignore(sig)
	}
}

// heed catches the signals that we were started to ignore as well: the child
// may have installed a handler of its own.
func (s *Signals) heed() {
	for _, sig := range s.ignored {
		signal.Notify(s.caught, sig)
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
