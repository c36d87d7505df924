package refresh

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxSleep bounds every sleep, on the monotonic clock, which stands still in
	// a suspend and knows nothing of a clock that was set.
	maxSleep = 30 * time.Second

	// minSleep keeps a deadline that is some nanoseconds away, because the two
	// clocks don't run at the same speed, from becoming a short spin.
	minSleep = time.Millisecond

	// minStep is the jump of the wall clock against the monotonic one that counts
	// as a step. A clock that is slewed stays below: chrony at its fastest makes
	// 2.5 s in maxSleep.
	minStep = 5 * time.Second

	// expiryGrace is how long the report of an expiry may wait for a retrieve or deliver
	// call that is under way, and stepGrace the same after the clock has jumped forward:
	// after a suspend the network comes back first.
	expiryGrace, stepGrace = time.Second, 15 * time.Second

	defaultWorkers      = 8
	defaultStartTimeout = 30 * time.Second

	// A source has limits of its own, of a minute for a command: they say more.
	defaultRetrieveTimeout = 70 * time.Second
)

// Engine keeps the credentials of its profiles fresh. Make one with New.
type Engine struct {
	opts     Options
	ready    chan struct{}
	pings    chan chan<- struct{}
	requests chan *request
	started  atomic.Bool
	begun    *schedule     // by Start; nil: it was not called
	done     chan struct{} // closed when Run returns

	mu       sync.Mutex
	profiles []Profile     // the list, of Options or the last Set; under mu
	list     chan struct{} // has room for one: Set was called
}

// New returns an engine that does nothing until Run.
func New(o Options) *Engine {
	if o.Workers <= 0 {
		o.Workers = defaultWorkers
	}
	if o.StartTimeout <= 0 {
		o.StartTimeout = defaultStartTimeout
	}
	if o.RetrieveTimeout <= 0 {
		o.RetrieveTimeout = defaultRetrieveTimeout
	}
	if o.Notify == nil {
		o.Notify = func(Event) {}
	}
	return &Engine{
		opts: o, ready: make(chan struct{}), pings: make(chan chan<- struct{}), requests: make(chan *request), done: make(chan struct{}),
		profiles: o.Profiles, list: make(chan struct{}, 1),
	}
}

// String names the profiles, and not the sources, which may hold secrets.
func (e *Engine) String() string { return fmt.Sprintf("refresh.Engine%v", e.wantedProfiles()) }

// GoString is String, for %#v.
func (e *Engine) GoString() string { return e.String() }

// Ready returns a channel that is closed once every delivery holds credentials of
// as many profiles as Require says, of each of which at least MinTTL remained when they
// were retrieved.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// Alive returns nil if the goroutine of Run responds before ctx ends, as it does
// within moments whatever sources and deliveries are doing; otherwise ctx's
// error. It is what a watchdog should call.
func (e *Engine) Alive(ctx context.Context) error {
	alive := make(chan struct{})
	select {
	case e.pings <- alive:
		<-alive
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run keeps the profiles fresh until ctx ends, and then returns nil. It returns
// an error only if it could not make the start:
//
//   - the sources of so many profiles said that retries are no use (Error.Permanent), or
//     gave no keys or expired credentials, that Require can't be met: at once;
//   - a delivery was refused in a way that waiting does not cure (permission,
//     read-only or full disk): at once;
//   - anything else that had not recovered within StartTimeout.
//
// The source's own error is in it: errors.As finds an *Error, or the SDK's.
//
// It waits for its goroutines, but not for ever: a source that does not return a
// second after its context ended, or a delivery that does not in five, is left
// behind with its goroutine. While the engine runs, such a source counts as
// failed, but nothing is retrieved from it again until that call returns. Run works once.
func (e *Engine) Run(ctx context.Context) error {
	if e.started.Swap(true) {
		return errors.New("internal error: engine run twice")
	}
	defer close(e.done)
	s, err := e.schedule()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer s.calls.Wait()
	defer s.end()
	defer cancel()
	return s.loop(ctx)
}

// schedule is the one that Start has begun, or a new one.
func (e *Engine) schedule() (*schedule, error) {
	if e.begun != nil {
		return e.begun, nil
	}
	s, err := newSchedule(e.opts, e.wantedProfiles())
	if err == nil {
		s.ready, s.engine = e.ready, e
	}
	return s, err
}

// schedule is the state of Run; only its goroutine touches it. The goroutines of
// calls get what they need and send the result on a channel.
type schedule struct {
	opts     Options
	engine   *Engine
	profiles []*profile          // in the order of the list
	byName   map[string]*profile // these, and those that were removed until every sink knows
	sinks    []*sink
	wakeups  wakeups   // all of profiles
	queue    queue     // due, but no worker is free
	retries  queue     // the same, of those that failed at the last call
	busy     int       // retrieve calls under way
	retrying int       // of these, those from retries
	turn     uint64    // of the last that came to a queue
	burst    time.Time // since when calls are under way, monotonic
	seq      uint64    // of the newest version
	skew     time.Duration

	calls     sync.WaitGroup
	retrieved chan retrieveResult // room for all workers, so that none ever blocks
	delivered chan deliverResult  // room for all sinks
	changes   *changes
	ready     chan struct{} // nil once closed
	startBy   time.Time     // monotonic

	unwatched []*feed   // whose sources Start has not let watch for changes
	watchAt   time.Time // when they are let, monotonic

	wall, mono time.Time // when the loop last woke
	stepped    time.Time // when the wall clock last jumped forward, on that clock
}

func newSchedule(o Options, list []Profile) (*schedule, error) {
	if len(list) == 0 {
		return nil, errors.New("internal error: no profiles")
	}
	s := &schedule{
		opts:      o,
		retrieved: make(chan retrieveResult, o.Workers),
		delivered: make(chan deliverResult, len(o.Deliveries)),
		changes:   newChanges(), byName: make(map[string]*profile, len(list)),
	}
	s.mono = time.Now()
	s.wall = s.now()
	s.startBy = s.mono.Add(o.StartTimeout)
	for i, d := range o.Deliveries {
		s.sinks = append(s.sinks, &sink{delivery: d, index: i, lacks: map[*profile]bool{}})
	}
	if err := checkList(list); err != nil {
		return nil, err
	}
	s.set(list)
	return s, nil
}

// end ends the watches of all sources.
func (s *schedule) end() {
	var fs []*feed
	for _, p := range s.profiles {
		fs = append(fs, p.feed)
	}
	s.endFeeds(fs)
}

func (s *schedule) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	s.tick() // Start may have been a while ago
	for {
		s.wake()
		s.retrieveDue(ctx)
		s.deliverDue(ctx)
		if err := s.overdue(); err != nil {
			return err
		}
		timer.Reset(s.sleep())
		select {
		case <-ctx.Done():
			return nil
		case a := <-s.retrieved:
			if ctx.Err() != nil {
				return nil // the result is about that
			}
			s.tick() // before anything is reckoned by the clocks
			if err := s.handleRetrieve(a); err != nil {
				return err
			}
		case r := <-s.delivered:
			if ctx.Err() != nil {
				return nil
			}
			s.tick()
			if err := s.handleDeliver(r); err != nil {
				return err
			}
		case alive := <-s.engine.pings:
			close(alive)
			s.tick() // or frequent pings would put off every wake-up
		case <-s.engine.list:
			s.tick()
			s.set(s.engine.wantedProfiles())
		case r := <-s.engine.requests:
			s.tick()
			s.handleRequest(r)
		case <-s.changes.signal:
			s.tick()
			s.handleChanges()
		case <-timer.C:
			s.tick()
		}
	}
}

// now reads the wall clock, without the monotonic reading that would make
// comparisons blind to a suspend.
func (s *schedule) now() time.Time {
	if s.opts.testOnlyNow != nil {
		return s.opts.testOnlyNow().Round(0)
	}
	return time.Now().Round(0)
}

// rnd is the chance that the policy wants, in [0, 1).
func (s *schedule) rnd() float64 {
	if s.opts.testOnlyRand != nil {
		return s.opts.testOnlyRand()
	}
	return rand.Float64()
}

func (s *schedule) notify(e Event) {
	e.Time = s.wall
	s.opts.Notify(e)
}

// tick reads both clocks and compares how far they went.
func (s *schedule) tick() {
	wall, mono := s.wall, s.mono
	s.mono = time.Now()
	s.wall = s.now()
	if step := s.wall.Sub(wall) - s.mono.Sub(mono); step.Abs() >= minStep {
		s.step(step)
	}
}

// step takes note of a jump of the wall clock. Forward needs nothing: deadlines
// on the wall clock have come closer, as they must if the machine was suspended.
// Back, everything goes along, so that no credentials last longer by it. But a suspend
// may hide in a larger step back, so the engine soon retrieves from the sources.
func (s *schedule) step(step time.Duration) {
	s.notify(Event{Kind: ClockStep, Step: step})
	if step > 0 {
		s.stepped = s.wall
		return
	}
	if !s.stepped.IsZero() {
		s.stepped = s.stepped.Add(step)
	}
	for _, p := range s.profiles {
		p.due, p.lastRetrieve = p.due.Add(step), p.lastRetrieve.Add(step)
		if !p.heldExpiry.IsZero() {
			p.heldExpiry, p.reportBy = p.heldExpiry.Add(step), p.reportBy.Add(step)
		}
		if p.current == nil || !p.current.creds.CanExpire {
			continue
		}
		s.retranslate(p, p.current.creds.Expires.Add(step))
		soon := s.wall.Add(scale(s.opts.Policy.pollInterval(p.lifetime, 0), s.rnd()))
		if soon.Before(p.due) {
			p.due = soon
		}
	}
	s.wakeups = newWakeups(s.profiles)
}

// wake handles every profile whose time has come.
func (s *schedule) wake() {
	if len(s.unwatched) > 0 && !s.watchAt.After(s.mono) {
		s.watchAll()
	}
	for len(s.wakeups) > 0 && !s.wakeups[0].at.After(s.wall) {
		p := s.wakeups[0]
		if !p.retrieving && !p.due.After(s.wall) {
			s.enqueue(p)
		}
		if at := p.expiryDue(); !at.After(s.wall) {
			s.checkExpired(p)
		}
		s.reschedule(p)
	}
}

// checkExpired handles the expiry of the credentials that the sinks hold of p. While new
// ones are under way it is not reported yet (a command may be stopped for it), but a
// source that hangs does not put the report off.
func (s *schedule) checkExpired(p *profile) {
	p.reportBy = p.heldExpiry.Add(expiryGrace)
	if limit := s.stepped.Add(stepGrace); limit.After(p.reportBy) {
		p.reportBy = limit
	}
	if p.reportBy.After(s.wall) && ((p.retrieving && p.failures == 0) || s.underWay(p)) {
		p.expiredReport = deferred
		return
	}
	p.expiredReport = reported
	e := p.held.event(Expired, p)
	e.Expires, e.Attempt = p.heldExpiry, p.failures
	if !p.retrieving {
		e.Next = p.due
	}
	s.notify(e)
}

// reschedule puts p where it belongs after a change.
func (s *schedule) reschedule(p *profile) {
	if p.feed == nil {
		return // it was removed
	}
	p.at = p.wakeup()
	heap.Fix(&s.wakeups, p.pos)
}

// sleep returns how long nothing is to be done, unless a call returns.
func (s *schedule) sleep() time.Duration {
	d := NextBeat(maxSleep)
	if len(s.wakeups) > 0 {
		d = min(d, s.wakeups[0].at.Sub(s.wall))
	}
	if s.ready != nil && s.startBy.After(s.mono) {
		d = min(d, s.startBy.Sub(s.mono))
	}
	if len(s.unwatched) > 0 {
		d = min(d, s.watchAt.Sub(s.mono))
	}
	for _, t := range s.sinks {
		if t.behind && !t.busy {
			d = min(d, s.deliverAt(t).Sub(s.mono))
		}
	}
	return max(d, minSleep)
}
