// Package supervisor runs one command in such a way that it behaves as it would
// without us: same descriptors, arguments, signals, terminal and exit status.
// It knows nothing of what the command is run for.
//
//	signals := supervisor.Hold()                       // first thing in main
//	…
//	s, err := supervisor.New(supervisor.Options{Argv: argv, Env: env}, signals)
//	exit, err := s.Run(ctx, ready)                     // blocks until the end
//	…                                                  // tidy up
//	exit.Raise()                                       // die as the child did
//	os.Exit(exit.Code)
//
// Signals that arrive before there is a child are held back and forwarded once
// there is one, except those that ask for the end: while there is no child, TERM,
// INT, HUP and QUIT end Run.
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

	"brs-exec/supervisor/job"
	"brs-exec/supervisor/siginfo"
	"brs-exec/supervisor/stage"
)

// Options say what to run and how. The zero value of each but Argv is usable.
type Options struct {
	// Argv is the command as execvp(3) takes it: argv[0] is looked up in PATH
	// if it has no slash.
	Argv []string

	// Env is the child's whole environment, KEY=VALUE each; nil is our own.
	// PATH is taken from it.
	Env []string

	// StopSignal is what asks the child to end when the context is cancelled;
	// 0 is SIGTERM.
	StopSignal syscall.Signal

	// StopTimeout is how long the child then has until it gets SIGKILL, together
	// with its process group (where it shares ours: with its descendants). 0 is
	// 10 s, negative is for ever.
	StopTimeout time.Duration
}

// DefaultStopTimeout is the grace period that docker gives, too.
const DefaultStopTimeout = 10 * time.Second

// Supervisor runs one command. Make it with [New].
type Supervisor struct {
	opts    Options
	signals *Signals
	grace   *time.Timer // runs while we wait for the child to end at our request
	again   *time.Timer // runs while we wait to start the child again
	hurry   int         // TERM and INT that came during the grace period
	cause   error       // why we stop the child

	held     []siginfo.Info // came before there was a child
	terminal bool           // the last child had a controlling terminal

	mu    sync.Mutex // guards the following, and that job is not reaped while it is signalled
	child child
	job   *job.Job // nil: no child
	wait  waiter
}

// New returns a supervisor for the command in o. signals is what [Hold] returned.
func New(o Options, signals *Signals) (*Supervisor, error) {
	if len(o.Argv) == 0 {
		return nil, errors.New("no command to run")
	}
	if o.Env == nil {
		o.Env = os.Environ()
	}
	if o.StopSignal == 0 {
		o.StopSignal = syscall.SIGTERM
	}
	if signals.err != nil {
		return nil, fmt.Errorf("hold signals: %w", signals.err)
	}
	o.StopTimeout = orDefault(o.StopTimeout, DefaultStopTimeout)
	return &Supervisor{opts: o, signals: signals, grace: stoppedTimer(), again: stoppedTimer()}, nil
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
// SIGKILL; Exit.Cause is then the cause of the cancellation. A second TERM or INT
// cuts the grace period short. If there is no child yet, Run returns with
// ctx's cause as the error.
//
// The error is about the command that can't be started (Exit.Code is 126 or 127
// then) or about ours; an unsuccessful exit of the child is none.
func (s *Supervisor) Run(ctx context.Context, ready <-chan struct{}) (Exit, error) {
	defer s.grace.Stop()
	defer s.again.Stop()
	cancelled := ctx.Done()
	for {
		var exit *Exit
		var err error
		select {
		case <-ready:
			ready = nil
			exit, err = s.start()
		case <-cancelled:
			cancelled = nil
			exit, err = s.stop(context.Cause(ctx))
		case sig := <-s.signals.caught:
			if slices.Contains(childSignals, sig.Signal) {
				exit, err = s.changed()
			} else {
				exit, err = s.caught(sig)
			}
		case <-s.wait.tick():
			exit, err = s.changed()
		case <-s.grace.C:
			err = s.kill()
		case <-s.again.C:
			exit, err = s.start()
		}
		if exit != nil {
			return *exit, err
		}
		if err != nil {
			return Exit{Code: exitNotExecutable - 1}, err
		}
	}
}

// start starts the child; a non-nil exit means that this can't be done.
func (s *Supervisor) start() (*Exit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signals.respect()
	err := execvp(s.opts.Argv, s.opts.Env, func(path string, argv []string) (err error) {
		s.job, err = startJob(job.Spec{Path: path, Argv: argv, Env: s.opts.Env})
		return err
	})
	if heed := s.signals.heed(); heed != nil && err == nil {
		err = heed
		_ = s.job.Signal(syscall.SIGKILL)
	}
	if err != nil {
		s.job = nil
		exit := startExit(err)
		return &exit, errors.Join(err, s.child.abandon())
	}
	s.wait.watch(s.job)
	s.terminal = s.job.Terminal()
	if err := s.child.start(time.Now()); err != nil {
		return nil, err
	}
	for _, sig := range s.held {
		if err := s.forward(sig); err != nil {
			return nil, err
		}
	}
	s.held = nil
	return nil, nil
}

// startJob starts the command itself, or what becomes the command once it knows
// its own pid, if the command is to take over systemd's sockets.
func startJob(spec job.Spec) (*job.Job, error) {
	paths, env, ok := stage.ListenCommand(spec.Path, spec.Env)
	if !ok {
		return job.Start(spec)
	}
	spec.Env = env
	var err error
	for _, spec.Path = range paths {
		var j *job.Job
		if j, err = job.Start(spec); err == nil {
			return j, nil
		}
	}
	return nil, fmt.Errorf("run brs-exec itself: %w", err)
}

// stop asks the child to end for good.
func (s *Supervisor) stop(cause error) (*Exit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cause = cause
	if s.job == nil {
		return &Exit{Code: exitNotExecutable - 1, Cause: cause}, errors.Join(cause, s.child.abandon())
	}
	send, err := s.child.stop(false)
	if err != nil || !send {
		return nil, err
	}
	return nil, s.sendStop()
}

// sendStop begins the stop ladder. A suspended child has to be continued to see
// the signal.
func (s *Supervisor) sendStop() error {
	if s.opts.StopTimeout > 0 {
		s.grace.Reset(s.opts.StopTimeout)
	}
	s.hurry = 0
	if err := gone(s.job.Signal(s.opts.StopSignal)); err != nil {
		return fmt.Errorf("send %s to pid %d: %w", SignalName(s.opts.StopSignal), s.job.Pid(), err)
	}
	return gone(s.resumeForStop())
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
	return gone(killAll(s.job))
}

// caught handles a signal that was sent to us.
func (s *Supervisor) caught(sig siginfo.Info) (*Exit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.job == nil {
		return s.caughtAlone(sig)
	}
	if sig.Signal == syscall.SIGTERM || sig.Signal == syscall.SIGINT {
		s.child.heed()
		if s.child.state == stopping {
			if s.hurry++; s.hurry > 1 {
				s.grace.Reset(0)
				return nil, nil
			}
		}
	}
	return nil, s.forward(sig)
}

func (s *Supervisor) forward(sig siginfo.Info) error {
	if err := gone(s.job.Forward(sig, false)); err != nil {
		return fmt.Errorf("forward %s to pid %d: %w", SignalName(sig.Signal), s.job.Pid(), err)
	}
	return nil
}

// caughtAlone handles a signal while there is no child. Those that ask for the
// end get it, and the terminal's stop is obeyed. Others are held for the first
// child, as if it had been started at once; between two runs they are dropped,
// and HUP with them unless it can be the terminal's: the next run knows nothing
// of them, and begins with what they may have announced.
func (s *Supervisor) caughtAlone(sig siginfo.Info) (*Exit, error) {
	first := s.child.state == waiting
	switch sig.Signal {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP:
		if sig.Signal == syscall.SIGHUP && !first && !s.terminal {
			return nil, nil
		}
		exit := signalled(sig.Signal)
		return &exit, s.child.abandon()
	case terminalStop:
		stopSelf()
		return nil, nil
	}
	if first {
		s.held = append(s.held, sig)
	}
	return nil, nil
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

// ended handles the end of the child; a non-nil exit means that it was the last
// one.
func (s *Supervisor) ended(exit Exit) (*Exit, error) {
	s.grace.Stop()
	s.job.Ended()
	s.job = nil
	exit.Started = true
	exit.Cause = s.cause
	again, after, err := s.child.exit(time.Now(), exit.Code != 0)
	if err != nil || !again {
		return &exit, err
	}
	s.again.Reset(after)
	return nil, nil
}
