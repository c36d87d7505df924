package supervisor

import (
	"syscall"
	"time"
)

// Options say what to run and how. The zero value of each but Argv is usable.
type Options struct {
	// Argv is the command as execvp(3) takes it: argv[0] is looked up in PATH
	// if it has no slash.
	Argv []string

	// Environ is called before each start for the child's whole environment,
	// KEY=VALUE each; nil is our own. PATH is taken from it.
	Environ func() []string

	// StopSignal is what asks the child to end when the context is cancelled;
	// 0 is SIGTERM.
	StopSignal syscall.Signal

	// StopTimeout is how long the child then has until it gets SIGKILL, together
	// with its process group (where it shares ours: with its descendants). 0 is
	// 10 s, negative is for ever.
	StopTimeout time.Duration

	// Restart says whether a child that ended is started again.
	Restart Restart

	// Once says that there will be one start only, so that Restart and
	// [Supervisor.Restart] must not be used. After it we give up what only the
	// child needs: inherited descriptors from 3 up are closed, and /dev/null is put
	// on 0 and 1, so that the other ends of the child's pipes see when it closes
	// its own.
	Once bool

	// LeaveDir makes our working directory / after the start, with Once, so that
	// we keep no file system from being unmounted. All paths that are used later
	// have to be absolute.
	LeaveDir bool

	// SignalGroup gives the child a process group of its own, and forwards
	// signals to all of it. Started from a pipeline or in the background it is then
	// not in the terminal's foreground.
	SignalGroup bool

	// Rewrite maps signals that reach us to those that are forwarded instead; 0
	// drops them. What the terminal sends to the child directly is not rewritten.
	Rewrite map[syscall.Signal]syscall.Signal

	// Pdeathsig, if not 0, is what the child gets when we die without having
	// stopped it (SIGKILL, out of memory). Otherwise it lives on. Linux only; the
	// kernel drops it if the child is setuid or changes its credentials, and may
	// send it more than once, as our threads end.
	Pdeathsig syscall.Signal

	// StopOrphans, if positive, is how long what the child left behind has for
	// ending after a SIGTERM, before it gets SIGKILL and Run returns. It needs a
	// process that adopts orphans: PID 1 or [Signals.Subreap]. 0 leaves them alone
	// (as PID 1: to the kernel, which kills them).
	StopOrphans time.Duration

	// WaitOrphans has Run return only when what the child has left behind has ended
	// as well, unless someone tells us to end. It needs a process that adopts orphans,
	// as StopOrphans does. The exit is the child's.
	WaitOrphans bool

	// Notify, if not nil, gets each event. It is called by Run, in order.
	Notify func(Event)
}

// Event is something that happened to the child.
type Event struct {
	Kind   EventKind
	PID    int            // of the child
	Exit   Exit           // Ended: how
	Signal syscall.Signal // Refused: which
	Err    error          // Refused, Unkillable: why
	After  time.Duration  // Ended: it will be started again after that
	Again  bool           // Ended: it will be started again
}

// EventKind is what happened.
type EventKind int

// The kinds of events.
const (
	Started  EventKind = iota
	Stopping           // we sent the stop signal
	Killed             // the grace period is over, we sent SIGKILL
	Ended
	Refused    // a signal may not be sent to the child, which goes on; reported once
	Unkillable // the grace period is over, and the child may not be killed: we wait for its end
)
