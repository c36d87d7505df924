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
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/control"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor"
)

// Options is what a run is made of.
type Options struct {
	Plan    *plan.Plan
	Log     *slog.Logger
	Signals *supervisor.Signals // held since the start
	Version func() string       // of brs-exec

	Waiting func(source string) // called, if not nil, when the first credentials take so long that a person wonders
	Parts   []Part              // beside a run's own

	Rehearsal *Rehearsal // nil: the command is given the real credentials

	sign plan.SignSetup // of --deliver sign, once it has been checked

	// For tests; nil are the real ones.
	openSource func(context.Context, plan.Profile) (credentialSource, error)
	watchList  func(context.Context, func([]plan.Profile, error) bool)
	newChild   func(supervisor.Options, *supervisor.Signals) (child, error)

	serveControl func(control.Options) func(context.Context) error
}

// ErrExpired is why a command is stopped by --on-expiry=stop.
var ErrExpired = errors.New("the credentials have expired")

// Run keeps credentials fresh until the command has ended, and returns how it ended.
// The error is [ErrExpired] if the command was stopped for want of credentials; that
// of the engine if there were none to start with; else what kept the command from
// being started or supervised.
func Run(o Options) (exit supervisor.Exit, err error) {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	ps, err := openProfiles(ctx, o)
	if err != nil {
		return exit, err
	}
	p := &parts{log: o.Log}
	s, err := openSight(o, ps)
	if err != nil {
		return exit, err
	}
	defer func() { s.end(p, exit, err) }()
	if err := ps.checkShared(o.Plan); err != nil { // before a person is asked for anything
		return exit, err
	}
	if o.sign, err = checkSign(o, ps); err != nil {
		return exit, err
	}
	if o.Plan.Keep == nil && o.newChild == nil { // before a person is asked, and before AWS is
		if exit, err = supervisor.Find(o.Plan.Argv, os.Environ()); err != nil {
			return exit, err
		}
	}
	warnOfRestarts(ps, o.Log)
	// What may need a person is done while the terminal is ours.
	if err := o.Signals.BeforeRun(ctx, ps.authenticate); err != nil {
		return exit, err
	}
	d, err := openDeliveries(ctx, o, p, ps)
	if err != nil {
		return exit, err
	}
	defer d.close()
	r, err := newRunning(ctx, end, o, p, ps, d, s)
	if err != nil {
		return exit, err
	}
	exit, err = r.untilExit(ctx)
	if o.Rehearsal != nil {
		p.finish("the record of what was read", func() { o.Rehearsal.end(d) }, nil)
	}
	p.do("the search for what the command leaves running", func() { r.left.say(ctx, d.files.Users) })
	return exit, err
}

// credentialSource is where the credentials come from: a [source.Source], but for
// tests.
type credentialSource interface {
	aws.CredentialsProvider
	refresh.Skewer
	refresh.Issuer
	refresh.Watcher
	Authenticate(context.Context) error
	LeaveDir(left <-chan struct{})
	Expiry() (source.Expiry, bool)
	Notes() []string
	Describe() string
	Profile() string
	Region() string
	Origin() source.Origin
	StartTimeout() time.Duration
	Instant() bool // Retrieve asks nobody and waits for nothing
}

// child runs the command: a [supervisor.Supervisor], but for tests.
type child interface {
	Run(ctx context.Context, ready <-chan struct{}) (supervisor.Exit, error)
	Signal(sig syscall.Signal, evenIfUnhandled bool) error
	Restart() error
}

// command returns what runs the command.
func (o Options) command(c supervisor.Options) (child, error) {
	switch {
	case o.newChild != nil:
		return o.newChild(c, o.Signals)
	case o.Plan.Keep != nil:
		return newKeeper(o, c.Notify), nil
	}
	return supervisor.New(c, o.Signals)
}

// running is a run from the first request for credentials to the command's end.
type running struct {
	end       context.CancelFunc
	child     child
	engine    *engine
	instant   bool // the first round of it
	parts     *parts
	record    *recorder
	reactions *reactions
	left      *leftBehind
	require   int         // as in plan.Plan
	expired   atomic.Bool // the command is stopped for want of credentials

	started func() // is called when the command is, for the first time
}

// newRunning puts together what works while the command runs, and what follows the
// events.
func newRunning(ctx context.Context, end context.CancelFunc, o Options, p *parts, ps *profiles, d *deliveries, s *sight) (_ *running, err error) {
	r := &running{end: end, started: func() {}, require: o.Plan.Require, left: &leftBehind{log: o.Log}, parts: p}
	started := make(chan struct{}) // closed when the command is, for the first time
	dir := workingDir()
	c := o.Plan.Child
	c.Argv, c.Environ, c.Notify = o.Plan.Argv, d.environ, p.child
	// A source that a change of the list adds finds its files from where we were started.
	if c.LeaveDir = c.Once && dir != "" && o.Plan.List == nil; c.LeaveDir {
		ps.leaveDir(started)
	}
	if r.child, err = o.command(c); err != nil {
		return nil, err
	}
	r.record = newRecorder(o.Plan, ps)
	hooks := &hooks{ctx: ctx, log: o.Log, profiles: ps, parts: p, dir: dir, environ: d.environ}
	r.reactions = &reactions{profiles: ps, child: r.child, hooks: hooks, stop: r.stopExpired}
	expiries := newSourceExpiries(ps, o.Plan.EndingBefore, r.record.sourceExpiry, r.reactions.sourceExpires)
	deliveries := d.engine(s.count)
	watch, stale := watchStale(o.Plan, d, &staleReaction{ps, r.child, p})
	if watch != nil {
		deliveries = append(deliveries, watch)
	}
	log, real := logEngine(ps, o.Log, started), Part{}
	opts := refresh.Options{
		Profiles:     ps.engine(),
		Deliveries:   deliveries,
		Workers:      o.Plan.Concurrency,
		Require:      o.Plan.Require,
		Policy:       refresh.Policy{Before: o.Plan.RefreshBefore},
		MinTTL:       o.Plan.MinTTL,
		StartTimeout: cmp.Or(o.Plan.StartTimeout, ps.startTimeout()),
		Notify:       p.engine,
	}
	r.instant = o.Rehearsal == nil && ps.instant() && d.instant()
	if o.Rehearsal != nil && d.signer != nil {
		opts, real = o.Rehearsal.engines(opts, d.signer, p, log)
		log = logLocal(logEngine(ps, o.Log, started))
	}
	if o.Plan.Deliver.Sign {
		log = logSigned(log)
	}
	r.engine = newEngine(opts)
	r.record.alive = r.engine.alive
	systemd, err := tellSystemd(o.Plan.NotifyChild, o.Log, ps, r.engine.alive)
	p.list = slices.Concat(d.parts(), s.parts(r.engine.alive), []Part{
		r.noteStart(started), saveMemory(ps, started), logNotes(ps), log, real, logChild(o.Log), noticeOfWaiting(o.Waiting, r.engine.ready(), ps.describe),
		stale, systemd, r.record.part(), r.serveControl(o, d), expiries.part(), r.reactions.part(), r.left.part(), o.Rehearsal.part(), followList(o, ps, d, s, r.engine),
	}, o.Parts)
	return r, err
}

// workingDir is where the command starts, "" if the source cannot go back there.
func workingDir() string {
	dir, err := os.Getwd()
	if err != nil || !filepath.IsAbs(dir) {
		return ""
	}
	return dir
}

// beginAfter is when the engine and the parts are started after a command for which the
// credentials were at hand: no client of AWS asks for anything sooner, and many commands end.
const beginAfter = 2 * time.Millisecond

// untilExit runs the command and, as long as it runs, the engine and all else.
// Only the engine may end the run: where there are no credentials to start with.
func (r *running) untilExit(ctx context.Context) (supervisor.Exit, error) {
	var engine sync.WaitGroup
	var noStart error
	var wait func() // for the parts; nil: nothing was begun
	begin := sync.OnceFunc(func() {
		wait = r.parts.run(ctx)
		engine.Go(func() {
			if noStart = r.engine.run(ctx, r.parts.keep); noStart != nil {
				r.end()
			}
		})
	})
	if r.instant {
		r.engine.start(ctx)
	}
	var soon *time.Timer
	if r.engine.isReady() {
		r.started = func() { soon = time.AfterFunc(beginAfter, begin) }
	} else {
		begin()
	}
	exit, err := r.child.Run(ctx, r.engine.ready())
	r.end()
	if soon != nil && !soon.Stop() {
		begin() // it has, or is being done
	}
	engine.Wait() // which leaves behind itself what hangs
	if wait != nil {
		r.parts.finish("what works beside the command", func() {
			wait()
			r.reactions.hooks.wait()
		}, nil)
	}
	r.reactions.profiles.bursts.endAll()
	switch {
	case noStart != nil:
		return exit, r.orWithout(noStart)
	case err == nil && exit.Stopped && r.expired.Load():
		return exit, ErrExpired
	}
	return exit, err
}

// orWithout adds to the hint of what keeps a run from its start that it could do without
// some of its profiles.
func (r *running) orWithout(noStart error) error {
	if r.require > 0 || len(r.reactions.profiles.all()) < 2 {
		return noStart
	}
	hint := "--require any, or a number, starts without it"
	known := &refresh.Error{}
	if errors.As(noStart, &known) && known.Hint != "" {
		hint = known.Hint + "; " + hint
	}
	return &refresh.Error{Err: noStart, Permanent: known.Permanent, RequestID: known.RequestID, Hint: hint}
}

// engine is the refresh engine of a run. Only a bug can end it once the command has
// started, and then another one takes over: the command has all the time that its
// credentials have left.
type engine struct {
	first   *refresh.Engine
	current atomic.Pointer[refresh.Engine]
	begun   error // of start

	mu   sync.Mutex
	opts refresh.Options // of the next one
}

func newEngine(o refresh.Options) *engine {
	e := &engine{opts: o, first: refresh.New(o)}
	e.current.Store(e.first)
	return e
}

// set has other profiles kept from now on.
func (e *engine) set(list []refresh.Profile) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.current.Load().Set(list); err != nil {
		return err
	}
	e.opts.Profiles = list
	return nil
}

// replace makes another engine, for when this one has failed: each runs once.
func (e *engine) replace() *refresh.Engine {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := refresh.New(e.opts)
	e.current.Store(next)
	return next
}

// ready is closed when there are credentials to start the command with.
func (e *engine) ready() <-chan struct{} { return e.first.Ready() }

func (e *engine) isReady() bool {
	select {
	case <-e.ready():
		return true
	default:
		return false
	}
}

// start makes the first round in the caller's goroutine.
func (e *engine) start(ctx context.Context) {
	e.begun = refresh.Protect(func() error { return e.first.Start(ctx) })
}

// alive tells whether the engine makes progress.
func (e *engine) alive(ctx context.Context) error { return e.current.Load().Alive(ctx) }

// run runs until ctx ends, or returns why there are no credentials to start the
// command with. keep runs a part, and again when that fails.
func (e *engine) run(ctx context.Context, keep func(context.Context, Part)) (noStart error) {
	current := e.first
	keep(ctx, Part{Name: "the refreshing of credentials", Run: func(ctx context.Context) error {
		if current == nil {
			current = e.replace()
		}
		err := e.begun
		if err == nil {
			err = refresh.Protect(func() error { return current.Run(ctx) })
		}
		current, e.begun = nil, nil
		if e.isReady() {
			return err
		}
		noStart = err
		return nil
	}})
	return noStart
}

// stopExpired stops the command for want of credentials.
func (r *running) stopExpired() {
	r.expired.Store(true)
	r.end()
}

// noteStart is for what waits until the command is started for the first time.
func (r *running) noteStart(started chan struct{}) Part {
	return Part{Name: "the start", Child: func(e supervisor.Event, first bool) {
		if first && e.Kind == supervisor.Started {
			close(started)
			r.started()
		}
	}}
}

// slow is how long a person sees nothing before they wonder.
const slow = 3 * time.Second

// noticeOfWaiting calls waiting once, with a description of the source, if the first
// credentials are slow. waiting is nil if no person looks.
func noticeOfWaiting(waiting func(string), ready <-chan struct{}, describe func() string) Part {
	if waiting == nil {
		return Part{}
	}
	return Part{Name: "the notice of what is waited for", Run: func(ctx context.Context) error {
		select {
		case <-ctx.Done():
		case <-ready:
		case <-time.After(slow):
			waiting(describe())
		}
		return nil
	}}
}
