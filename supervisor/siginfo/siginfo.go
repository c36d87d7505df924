// Package siginfo catches signals together with what the kernel knows about
// their origin.
//
// os/signal tells that a signal came, not who sent it. A process that shares its
// group with a command needs that: at Ctrl-C the terminal tells both, so
// forwarding would tell the command twice, while a kill(1) of the process alone
// has to be forwarded. So on Linux this package installs signal handlers of its
// own beside those of the Go runtime: a few instructions that write the kernel's
// siginfo_t to a pipe. Signals queue there (os/signal keeps one bit each) in the
// order in which they were taken.
//
// For a signal that is caught here os/signal hears nothing. Elsewhere than on
// Linux amd64 and arm64, and there with the build tag brs_ossignal, the package uses
// os/signal, and the origin is [Unknown].
package siginfo

import "syscall"

// Info is a signal that was caught.
type Info struct {
	Signal syscall.Signal
	Origin Origin
	PID    int // the sending process if Origin is Process, as seen from here; 0: not known
}

// Origin is where a signal comes from.
type Origin int

// The origins. The terminal's signals come from the kernel, to the whole
// foreground process group.
const (
	Unknown Origin = iota
	Process        // kill(2), tgkill(2), sigqueue(3)
	Kernel         // the terminal, a limit, a timer, a child
)
