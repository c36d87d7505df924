// Package supervisor runs one command in such a way that it behaves as it would
// without us: same descriptors, arguments, signals, terminal and exit status.
// It knows nothing of what the command is run for.
//
//	signals := supervisor.Hold(end)                    // first thing in main
//	…
//	s, err := supervisor.New(supervisor.Options{Argv: argv}, signals)
//	exit, err := s.Run(ctx, ready)                     // blocks until the end
//	…                                                  // tidy up
//	exit.Raise()                                       // die as the child did
//	os.Exit(exit.Code)
//
// Signals that arrive before there is a child are held back and forwarded once
// there is one, except those that ask for the end: while there is no child, TERM,
// INT, HUP and QUIT end Run.
//
// From the first start on, other processes of the same user can't read our memory and
// environment (Linux): what was kept from the child is not to be found there.
//
// The child is a state machine with one method per event; an event that is
// impossible in a state is an error:
//
//	              ready                stopped by a signal
//	waiting ───────────────► running ◄─────────────────────► suspended
//	   │                      │  ▲        continued               │
//	   │ TERM, INT,           │  │                               │
//	   │ cancelled     exited │  │ pause over      stop, restart │ (also
//	   │                      ▼  │                               ▼ from running)
//	   │    TERM, INT,      backoff ◄────────────────────── stopping
//	   │    cancelled         │      exited, to be               │ grace period
//	   │                      │      started again               ▼ over
//	   └──────────► done ◄────┴◄───────────────────────────── killing
//	                          exited, for good
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"brs-exec.example/brs-exec/supervisor/job"
	"brs-exec.example/brs-exec/supervisor/siginfo"
	"brs-exec.example/brs-exec/supervisor/stage"
)

// shrinkAfter is how long a child has to live for our memory to matter more than
// its time: what is given back costs time when it is needed again, as at the end.
const shrinkAfter = time.Second

// defaultStopTimeout is the grace period that docker gives, too.
const defaultStopTimeout = 10 * time.Second

// Supervisor runs one command. Make it with [New].
type Supervisor struct {
	opts       Options
	signals    *Signals
	grace      *time.Timer // runs while we wait for the child to end at our request
	again      *time.Timer // runs while we wait to start the child again
	shrink     *time.Timer // calls stage.Shrink
	impatience int         // TERM and INT that came during the grace period
	last       Exit        // of the last child; if there was none yet, what Run returns without one
	refused    bool        // the child could not be sent a signal, and that was reported

	held     []siginfo.Info // came before there was a child
	terminal bool           // the last child had a controlling terminal
	events   []Event        // to tell Options.Notify, without the lock
	starts   chan func()    // to the thread that starts children, if it must be the same always
	restarts chan struct{}  // has one if Restart was called

	mu    sync.Mutex // guards the following, and that job is not reaped while it is signalled
	child child
	job   subprocess // nil: no child

	launch      func(job.Spec) (subprocess, error)
	wait        waiter
	stopOrphans func(grace time.Duration) // ends them
	waitOrphans func()                    // returns when all orphans have ended
}

// New returns a supervisor for the command in o. signals is what [Hold] returned.
func New(o Options, signals *Signals) (*Supervisor, error) {
	if len(o.Argv) == 0 {
		return nil, errors.New("no command to run")
	}
	if o.Environ == nil {
		o.Environ = os.Environ
	}
	if o.StopSignal == 0 {
		o.StopSignal = syscall.SIGTERM
	}
	if signals.err != nil {
		return nil, fmt.Errorf("hold signals: %w", signals.err)
	}
	if o.Once && o.Restart.Policy != RestartNever {
		return nil, errors.New("internal error: a child that is started once can't be restarted")
	}
	o.StopTimeout = orDefault(o.StopTimeout, defaultStopTimeout)
	s := &Supervisor{opts: o, signals: signals, grace: stoppedTimer(), again: stoppedTimer(), shrink: time.AfterFunc(time.Hour, stage.Shrink), restarts: make(chan struct{}, 1)}
	s.launch, s.wait, s.stopOrphans, s.waitOrphans = startJob, newWaiter(), stopOrphans, waitOrphans
	s.shrink.Stop()
	s.child.restart, s.last = o.Restart, Exit{Code: exitFailed}
	return s, nil
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// Run starts the command once ready is closed, forwards signals to it, and
// returns when it has ended; it does not wait for the command's descendants.
// Exactly one call of Run is allowed.
//
// If ctx is cancelled, the child gets the stop signal, and after the grace period
// SIGKILL; Exit.Stopped is true then. A second TERM or INT cuts the grace period
// short. If there is no child yet, Run returns at once.
//
// With a restart policy Run goes on after the child's end, and returns after the
// last one's. TERM and INT then mean the end as well: they are forwarded, and the
// child is not started again.
//
// The error tells that the command can't be started (Exit.Code is 126 or 127 then),
// or that we have failed (125). Neither an unsuccessful exit of the child is one, nor
// that ctx was cancelled.
func (s *Supervisor) Run(ctx context.Context, ready <-chan struct{}) (Exit, error) {
	defer s.grace.Stop()
	defer s.again.Stop()
	defer s.shrink.Stop()
	s.signals.takeOver()
	if s.opts.Pdeathsig != 0 {
		s.starts = make(chan func())
		defer close(s.starts)
		go ownThread(s.starts, s.opts.Pdeathsig)
	}
	cancelled := ctx.Done()
	for {
		s.tell()
		var exit *Exit
		var err error
		select {
		case <-ready:
			ready = nil
			exit, err = s.start()
		case <-cancelled:
			cancelled = nil
			exit, err = s.stop()
		case <-s.signals.arrivals():
			if sig, ok := s.signals.take(); ok {
				exit, err = s.signal(sig)
			}
		case <-s.wait.tick():
			exit, err = s.changed()
		case <-s.grace.C:
			err = s.kill()
		case <-s.again.C:
			exit, err = s.start()
		case <-s.restarts:
			err = s.restart()
		}
		if exit != nil {
			s.tell()
			if s.opts.WaitOrphans && err == nil {
				s.waitForOrphans(ctx, exit)
			}
			if s.opts.StopOrphans > 0 && s.child.wasStarted() {
				s.stopOrphans(s.opts.StopOrphans)
			}
			return *exit, err
		}
		if err != nil {
			return Exit{Code: exitFailed}, err
		}
	}
}

// waitForOrphans waits for what the last child has left behind, until a signal or
// the context ends the wait. There is none if the child was told to end, or never was.
func (s *Supervisor) waitForOrphans(ctx context.Context, exit *Exit) {
	if s.child.final {
		return
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		s.waitOrphans()
	}()
	for {
		select {
		case <-gone:
			return
		case <-ctx.Done():
			exit.Stopped = true
			return
		case <-s.signals.arrivals():
			switch sig, ok := s.signals.take(); {
			case ok && asksForEnd(sig.Signal):
				return
			case ok && sig.Signal == terminalStop:
				s.signals.stop()
			}
		}
	}
}

// signal handles a signal that was caught. Each is a reason to look for what
// happened to the child: where many come at once, that which tells of it may be lost.
func (s *Supervisor) signal(sig siginfo.Info) (exit *Exit, err error) {
	if !slices.Contains(childSignals, sig.Signal) {
		exit, err = s.caught(sig)
	}
	if exit != nil || err != nil {
		return exit, err
	}
	return s.changed()
}

// tell passes on the events that have come up.
func (s *Supervisor) tell() {
	for _, e := range s.events {
		if s.opts.Notify != nil {
			s.opts.Notify(e)
		}
	}
	s.events = s.events[:0]
}

// stop asks the child to end for good.
func (s *Supervisor) stop() (*Exit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.child.stopped = true
	if s.job == nil {
		exit := s.last
		exit.Stopped = true
		return &exit, s.child.abandon()
	}
	send, err := s.child.stop(false)
	if err != nil || !send {
		return nil, err
	}
	s.sendStop()
	return nil, nil
}

// sendStop begins the stop ladder. A suspended child has to be continued to see
// the signal.
func (s *Supervisor) sendStop() {
	if s.opts.StopTimeout > 0 {
		s.grace.Reset(s.opts.StopTimeout)
	}
	s.impatience = 0
	s.events = append(s.events, Event{Kind: Stopping, PID: s.job.Pid()})
	s.sent(s.opts.StopSignal, s.toChild(s.opts.StopSignal))
	s.sent(s.opts.StopSignal, s.resumeForStop())
}

// kill ends the child and what is in its process group by force.
func (s *Supervisor) kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child.state != stopping { // it ended while the timer fired
		return nil
	}
	if err := s.child.graceElapsed(); err != nil {
		return err
	}
	if err := killAll(s.job); err != nil && !gone(err) {
		s.events = append(s.events, Event{Kind: Unkillable, PID: s.job.Pid(), Err: err})
		return nil
	}
	s.events = append(s.events, Event{Kind: Killed, PID: s.job.Pid()})
	return nil
}

// changed finds out what happened to the child.
func (s *Supervisor) changed() (*Exit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.job != nil {
		change, err := s.wait.poll(s.job)
		if err != nil {
			return nil, fmt.Errorf("wait for pid %d: %w", s.job.Pid(), err)
		}
		switch change.kind {
		case nothing:
			return nil, nil
		case stopped:
			err = s.suspended(change.signal)
		case continued:
			err = s.child.resume()
		case ended:
			return s.ended(change.exit)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// suspended follows the child that a signal has stopped. It returns when we are
// continued.
func (s *Supervisor) suspended(sig syscall.Signal) error {
	if err := s.child.suspend(); err != nil {
		return err
	}
	if s.child.state == stopping || s.child.state == killing {
		s.sent(sig, s.resumeForStop())
	} else {
		s.sent(sig, s.job.Suspended(sig))
	}
	return nil
}

// ended handles the end of the child; a non-nil exit means that it was the last
// one.
func (s *Supervisor) ended(exit Exit) (*Exit, error) {
	s.grace.Stop()
	j := s.job
	j.Ended()
	s.job = nil
	exit.Stopped = s.child.stopped
	if j.OwnGroup() && j.Terminal() && interrupted(exit) {
		s.child.markFinal() // the terminal sent the signal to the child alone
	}
	again, after, err := s.child.exit(time.Now(), exit.Code != 0)
	s.events = append(s.events, Event{Kind: Ended, PID: j.Pid(), Exit: exit, Again: again, After: after})
	if err != nil || !again {
		return &exit, err
	}
	s.last = exit
	s.again.Reset(after)
	return nil, nil
}

// interrupted reports whether the child seems to have ended because of Ctrl-C
// or Ctrl-\.
func interrupted(e Exit) bool {
	return e.Code == 128+int(syscall.SIGINT) || e.Code == 128+int(syscall.SIGQUIT)
}

// Restart asks for the child to be stopped, with grace, and started anew, whatever
// the restart policy says. While there is no child yet, or one is being started
// again, that is all the same; one that is being stopped for good is not
// restarted. It does not wait, and may be called from any goroutine.
func (s *Supervisor) Restart() error {
	if s.opts.Once {
		return errors.New("internal error: the child is started once only")
	}
	select {
	case s.restarts <- struct{}{}:
	default: // one is as good as two
	}
	return nil
}

func (s *Supervisor) restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.child.state == backoff:
		s.again.Reset(0)
		return nil
	case s.job == nil:
		return nil
	}
	send, err := s.child.stop(true)
	if err != nil || !send {
		return err
	}
	s.sendStop()
	return nil
}
