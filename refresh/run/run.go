// Package run is one run: it opens the source and the deliveries, starts the engine
// and the command, does what follows from their events, and tidies up. It prints
// nothing.
//
// Its parts are kept apart: one that fails or panics costs what it does, and never
// the command.
package run

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
	"brs-exec/refresh/source"
	"brs-exec/supervisor"
	"brs-exec/writer/stale"
)

// Options is what a run is made of.
type Options struct {
	Plan    *plan.Plan
	Log     *slog.Logger
	Signals *supervisor.Signals // held since the start

	Waiting   func(source string) // told, if not nil, what a person has waited for too long
	Observers []Observer          // of the engine, beside a run's own
	Services  []Service           // likewise
}

// session is one command and the credentials that are kept fresh for it.
type session struct {
	plan     *plan.Plan
	log      *slog.Logger
	signals  *supervisor.Signals
	services []Service // run as long as the command, each on its own
	newChild func(supervisor.Options, *supervisor.Signals) (child, error)
	waiting  func(source string)

	child     child
	end       context.CancelCauseFunc
	observers []Observer      // of the engine
	delivered bool            // the first set; of the engine's goroutine
	environ   func() []string // of the command, once there are credentials
	systemd   *systemd
	started   atomic.Bool   // the command; it has been given our working directory
	begun     chan struct{} // closed then
	stopping  bool          // by us; of the supervisor's goroutine
	firstPID  int           // of the command; of the supervisor's goroutine
	dir       string        // where we were started
	profile   string        // that the command finds the credentials under
	readers   *stale.Watch  // nil: not watched
	record    *recorder
	ending    *ending
	guard     Guard
	engine    atomic.Pointer[refresh.Engine]
	hooks     sync.WaitGroup
	hookTurn  sync.Mutex // one at a time
}

// child runs the command: a [supervisor.Supervisor], but for tests.
type child interface {
	Run(ctx context.Context, ready <-chan struct{}) (supervisor.Exit, error)
	Signal(sig syscall.Signal, evenIfUnhandled bool) error
	Restart() error
}

func newChild(o supervisor.Options, signals *supervisor.Signals) (child, error) {
	return supervisor.New(o, signals)
}

// asked is what is asked for credentials: a [source.Source], but for tests.
type asked interface {
	aws.CredentialsProvider
	refresh.Skewer
	refresh.Issuer
	refresh.Watcher
	Ends() (source.Ending, bool)
	Notes() []string
	Describe() string
	Origin() source.Origin
	StartTimeout() time.Duration
}

// Observer follows the engine, in whose goroutine it is called. The order of the
// observers is not of importance to any of them.
type Observer struct {
	Name string

	// See is told whether this is before the first set, or about that.
	See func(e refresh.Event, first bool)
}

// ErrExpired is why a command is stopped by --on-expiry=stop.
var ErrExpired = errors.New("the credentials have ended")

// Run keeps credentials fresh until the command has ended, and tells how that was.
// The error is [ErrExpired] if the command was stopped for want of credentials.
func Run(o Options) (supervisor.Exit, error) { return newSession(o).run() }

func newSession(o Options) *session {
	s := &session{
		plan: o.Plan, log: o.Log, signals: o.Signals, services: o.Services, observers: o.Observers, waiting: o.Waiting,
		newChild: newChild, begun: make(chan struct{}),
	}
	s.guard.Tell = func(name string, err error) {
		s.log.Error("a part of brs-exec has failed; the command goes on", "part", name, "err", err)
	}
	return s
}

func (s *session) run() (exit supervisor.Exit, err error) {
	ctx, end := context.WithCancelCause(context.Background())
	defer end(nil)
	s.end = end
	src, err := source.New(ctx, s.plan.Source)
	if err != nil {
		return exit, err
	}
	for _, line := range src.Overlooked() {
		s.log.Info(line)
	}
	for _, line := range src.Plaintext() {
		s.log.Warn(line)
	}
	if _, err := s.plan.CheckShared(src); err != nil { // before a person is asked for anything
		return exit, err
	}
	// What may need a person is done while the terminal is ours.
	if err := s.signals.Before(ctx, src.Begin); err != nil {
		return exit, err
	}
	files, err := s.files(src)
	if err != nil {
		return exit, err
	}
	s.signals.AtEnd(func() { files.Close() })
	exit, err = s.deliver(ctx, src, files)
	s.guard.Do("the look at what is left behind", func() { s.leftBehind(ctx, files.Users) })
	s.guard.Do("the run directory", func() {
		if err := files.Close(); err != nil {
			s.log.Warn("the run directory stays behind", "err", err)
		}
	})
	if err == nil && exit.Stopped && errors.Is(context.Cause(ctx), ErrExpired) {
		err = ErrExpired
	}
	return exit, err
}

// supervise runs the command and, as long as it lives, the engine.
func (s *session) supervise(ctx context.Context, src asked, deliveries []refresh.Delivery) (exit supervisor.Exit, err error) {
	o := s.plan.Child
	o.Argv, o.Environ, o.Notify = s.plan.Argv, s.environ, s.childEvent
	from, dir := refresh.Profile{Name: setName, Source: src}, s.workingDir()
	if o.LeaveDir = o.Once && dir != ""; o.LeaveDir {
		from.Source = &sourceInDir{asked: src, dir: dir, left: &s.started}
	}
	if s.systemd, err = s.newSystemd(); err != nil {
		return exit, err
	}
	if s.child, err = s.newChild(o, s.signals); err != nil {
		return exit, err
	}
	s.observe(ctx, src)
	engine := refresh.Options{
		Profiles:     []refresh.Profile{from},
		Deliveries:   deliveries,
		Policy:       refresh.Policy{Before: s.plan.RefreshBefore},
		MinTTL:       s.plan.MinTTL,
		StartTimeout: cmp.Or(s.plan.StartTimeout, src.StartTimeout()),
		Notify:       s.notify,
	}
	first := refresh.New(engine)
	s.engine.Store(first)
	if s.waiting != nil {
		s.serve("the sign of life", func(ctx context.Context) error { s.signOfLife(ctx, first.Ready(), src); return nil })
	}
	s.serve("systemd's watchdog", s.watchdog)
	s.serve("the watch for the end of the source", s.ending.run)
	var running sync.WaitGroup
	for _, service := range s.services {
		running.Go(func() { s.keep(ctx, service) })
	}
	var noStart error
	running.Go(func() {
		if noStart = s.keepFresh(ctx, engine, first); noStart != nil {
			s.end(nil)
		}
	})
	exit, err = s.child.Run(ctx, first.Ready())
	s.end(nil)
	running.Wait()
	s.hooks.Wait()
	if noStart != nil {
		return exit, noStart
	}
	return exit, err
}

// serve has f run as long as the command does. name is what people know it by.
func (s *session) serve(name string, f func(context.Context) error) {
	s.services = append(s.services, Service{Name: name, Run: f})
}

// keep runs a service. That one fails is no reason to stop the command.
func (s *session) keep(ctx context.Context, service Service) {
	Keep(ctx, service, func(err error, again time.Duration, news bool) {
		level := slog.LevelDebug
		if news {
			level = slog.LevelError
		}
		s.log.Log(ctx, level, "a part of brs-exec has failed; the command goes on, and the part is started again",
			"part", service.Name, "err", err, "after", again)
	})
}

// slow is how long a person looks at nothing before they wonder.
const slow = 3 * time.Second

// signOfLife tells a person what is waited for.
func (s *session) signOfLife(ctx context.Context, ready <-chan struct{}, src asked) {
	timer := time.NewTimer(slow)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-ready:
	case <-timer.C:
		s.waiting(src.Describe())
	}
}

// keepFresh runs the engine. It returns an error if there is no set to start the
// command with. After that only a bug can end the engine, and another one takes
// over: the command has all the time that its set has left.
func (s *session) keepFresh(ctx context.Context, o refresh.Options, first *refresh.Engine) (noStart error) {
	next := first
	s.keep(ctx, Service{Name: "the refreshing of credentials", Run: func(ctx context.Context) error {
		engine := next
		next = refresh.New(o) // each runs once
		s.engine.Store(engine)
		err := refresh.Protect(func() error { return engine.Run(ctx) })
		select {
		case <-first.Ready():
			return err
		default:
			noStart = err
			return nil
		}
	}})
	return noStart
}

// observe lists what follows the engine.
func (s *session) observe(ctx context.Context, src asked) {
	ends := func() (source.Ending, bool) {
		end, known := src.Ends()
		s.record.ending(end, known)
		return end, known
	}
	s.ending = newEnding(ends, s.plan.EndingBefore, func(end source.Ending) { s.sourceEnds(ctx, end) })
	s.observers = append([]Observer{
		{"the source's notes", func(refresh.Event, bool) {
			for _, note := range src.Notes() {
				s.log.Warn(note)
			}
		}},
		{"the log", (&reporter{log: s.log, origin: src.Origin}).event},
		{"the watch for stale readers", func(e refresh.Event, _ bool) { s.tellReaders(e.Kind) }},
		{"systemd's status", s.systemd.event},
		{"the status record", func(e refresh.Event, first bool) {
			if e.Kind == refresh.Refreshed {
				s.record.from(src.Describe())
			}
			s.record.engine(e, first)
		}},
		{"the watch for the end of the source", func(e refresh.Event, _ bool) { s.ending.event(e.Kind) }},
		{"the reactions", func(e refresh.Event, first bool) { s.reactions(ctx, e, first) }},
	}, s.observers...)
}

// notify tells all observers of an event of the engine, in whose goroutine it runs.
func (s *session) notify(e refresh.Event) {
	first := !s.delivered
	for _, o := range s.observers {
		s.guard.Do(o.Name, func() { o.See(e, first) })
	}
	s.delivered = s.delivered || e.Kind == refresh.Refreshed
}

// reactions does what the flags ask for at an event.
func (s *session) reactions(ctx context.Context, e refresh.Event, first bool) {
	switch e.Kind {
	case refresh.Refreshed:
		if !first { // not the set that the command starts with
			s.react(ctx, s.plan.OnRefresh, e)
		}
	case refresh.Failed:
		if e.Permanent && e.First && !first {
			s.refused(ctx, e)
		}
	case refresh.Expired:
		s.react(ctx, s.plan.OnExpiry, e)
	}
}

// childEvent tells who has to know what happens to the command.
func (s *session) childEvent(e supervisor.Event) {
	for _, o := range []struct {
		name string
		see  func(supervisor.Event)
	}{
		{"the watch for stale readers", s.tellRestart},
		{"systemd's status", s.systemd.child},
		{"the status record", s.record.child},
		{"the log", s.logChild},
	} {
		s.guard.Do(o.name, func() { o.see(e) })
	}
}

func (s *session) tellRestart(e supervisor.Event) {
	if e.Kind == supervisor.Ended && e.Again && s.readers != nil {
		s.readers.Restarted()
	}
}

// logChild logs what happens to the command besides its one start and end.
func (s *session) logChild(e supervisor.Event) {
	switch {
	case e.Kind == supervisor.Stopping:
		s.stopping = true
	case e.Kind == supervisor.Ended && e.Again && !s.stopping:
		s.log.Warn("the command has ended and is started again", "how", e.Exit.String(), "after", e.After)
	case e.Kind == supervisor.Killed:
		s.log.Warn("the command did not stop in time and was killed", "pid", e.PID)
	case e.Kind == supervisor.Refused:
		s.log.Warn("the command may not be sent signals, and goes on without them", "signal", supervisor.SignalName(e.Signal), "pid", e.PID, "err", e.Err)
	case e.Kind == supervisor.Unkillable:
		s.log.Error("the command did not stop in time and may not be killed: waiting for its end", "pid", e.PID, "err", e.Err)
	case e.Kind == supervisor.Started:
		s.stopping = false
		s.firstPID = cmp.Or(s.firstPID, e.PID)
		if !s.started.Swap(true) {
			close(s.begun)
		}
		s.log.Info("the command is started", "pid", e.PID)
	}
}

// workingDir is where the command starts, "" if that is no place to come back to.
func (s *session) workingDir() string {
	dir, err := os.Getwd()
	if err != nil || !filepath.IsAbs(dir) {
		return ""
	}
	s.dir = dir
	return dir
}

// sourceInDir asks a source where we were started, which relative paths in
// flags, variables and profiles are about. In between we are in /, so that the
// file system of that directory can be unmounted. Nothing else here uses
// relative paths.
type sourceInDir struct {
	asked
	dir  string
	left *atomic.Bool // we are in /
}

func (s *sourceInDir) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if s.left.Load() && os.Chdir(s.dir) == nil {
		defer os.Chdir("/")
	}
	return s.asked.Retrieve(ctx)
}

// react does what --on-refresh and --on-expiry ask for.
func (s *session) react(ctx context.Context, r plan.Reaction, e refresh.Event) {
	switch r.Act {
	case plan.Signal:
		if err := s.child.Signal(r.Signal, r.Force); err != nil {
			s.log.Warn("no signal sent", "reaction-to", e.Kind.String(), "err", err)
		}
	case plan.Stop:
		s.log.Error("the credentials have ended: stopping the command")
		s.end(ErrExpired)
	case plan.Restart:
		s.log.Info("the command is started again", "reaction-to", e.Kind.String())
		if err := s.child.Restart(); err != nil {
			s.log.Warn("the command cannot be started again", "err", err)
		}
	case plan.Exec:
		s.goHook(func() { s.hook(ctx, r.Argv, e) })
	}
}
