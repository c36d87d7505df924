package refresh

// The tests of the engine run in synctest bubbles, where time is virtual: a day
// takes seconds, and a loop that spins would never end. Fake time stands still
// while anything runs, so what takes time in them is what is written to sleep.
// A bubble has one clock, so Options.testOnlyNow adds an offset to the wall.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// world is what a bubble has in place of AWS: the clocks, and the calls in flight.
type world struct {
	wall   atomic.Int64 // offset of this machine's wall clock
	server atomic.Int64 // offset of the servers' clocks

	now, most atomic.Int64 // calls of sources: now, and the most at the same time
	asked     atomic.Int64

	mu    sync.Mutex
	times []time.Time // when sources were asked
}

func (w *world) local() time.Time { return time.Now().Round(0).Add(time.Duration(w.wall.Load())) }
func (w *world) true() time.Time  { return time.Now().Round(0).Add(time.Duration(w.server.Load())) }

// suspend lets d pass for all but the monotonic clock.
func (w *world) suspend(d time.Duration) { w.wall.Add(int64(d)); w.server.Add(int64(d)) }

// set moves the wall clock alone.
func (w *world) set(d time.Duration) { w.wall.Add(int64(d)) }

var errTransient = errors.New("connection refused")

// issuer is a source that gives new credentials at each call.
type issuer struct {
	world   *world
	life    time.Duration
	latency time.Duration
	fail    func(call int) error                              // nil: never
	edit    func(call int, c aws.Credentials) aws.Credentials // nil: as it is
	hang    func(ctx context.Context, call int)               // nil: no
	skewed  bool                                              // it measures the clock
	calls   int                                               // under world.mu
	skew    time.Duration
}

func (i *issuer) Retrieve(ctx context.Context) (aws.Credentials, error) {
	w := i.world
	n := w.now.Add(1)
	defer w.now.Add(-1)
	w.asked.Add(1)
	for most := w.most.Load(); n > most && !w.most.CompareAndSwap(most, n); most = w.most.Load() {
	}
	w.mu.Lock()
	w.times = append(w.times, time.Now())
	i.calls++
	call := i.calls
	w.mu.Unlock()
	if i.hang != nil {
		if i.hang(ctx, call); ctx.Err() != nil {
			return aws.Credentials{}, ctx.Err()
		}
	}
	// Not with a timer that is over at once: two of these at a time crash the race
	// detector in a bubble.
	if i.latency > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(i.latency):
		}
	}
	if ctx.Err() != nil {
		return aws.Credentials{}, ctx.Err()
	}
	if i.skewed {
		i.skew = w.local().Sub(w.true())
	}
	if i.fail != nil {
		if err := i.fail(call); err != nil {
			return aws.Credentials{}, err
		}
	}
	c := aws.Credentials{
		AccessKeyID:     fmt.Sprintf("ASIA%p%06d", i, call),
		SecretAccessKey: "verysecret", SessionToken: fmt.Sprint("tokensecret", call),
		CanExpire: true, Expires: w.true().Add(i.life),
	}
	if i.edit != nil {
		c = i.edit(call, c)
	}
	return c, nil
}

// asked returns how often it was called so far.
func (i *issuer) asked() int {
	i.world.mu.Lock()
	defer i.world.mu.Unlock()
	return i.calls
}

func (i *issuer) Skew() time.Duration { return i.skew }

// shelf is a delivery that remembers.
type shelf struct {
	mu      sync.Mutex
	held    map[string]aws.Credentials
	batches []int
	deliver func(ctx context.Context, call int) error   // nil: done at once
	replace func(name string, old, new aws.Credentials) // nil: nothing
}

func (s *shelf) Deliver(ctx context.Context, creds map[string]aws.Credentials) error {
	s.mu.Lock()
	s.batches = append(s.batches, len(creds))
	n := len(s.batches)
	s.mu.Unlock()
	if s.deliver != nil {
		if err := s.deliver(ctx, n); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = make(map[string]aws.Credentials)
	}
	for name, c := range creds {
		if s.replace != nil {
			s.replace(name, s.held[name], c)
		}
		s.held[name] = c
	}
	return nil
}

func (s *shelf) get(name string) aws.Credentials {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[name]
}

// taken returns what was delivered last of a profile, also if that was to take it away.
func (s *shelf) taken(name string) (c aws.Credentials, delivered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, delivered = s.held[name]
	return c, delivered
}

func (s *shelf) calls() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int(nil), s.batches...)
}

// running is an engine in its goroutine.
type running struct {
	*Engine
	t      *testing.T
	world  *world
	cancel context.CancelFunc
	done   chan struct{}
	err    error // once done is closed

	mu     sync.Mutex
	events []Event
}

// launch starts an engine. When the test ends it is stopped and must end well.
func launch(t *testing.T, w *world, o Options) *running {
	t.Helper()
	return launchIn(t, w, o, false)
}

// launchIn is launch, with a call of Start before that of Run if start is set.
func launchIn(t *testing.T, w *world, o Options, start bool) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, world: w, cancel: cancel, done: make(chan struct{})}
	o.testOnlyNow = w.local
	o.Notify = func(e Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e)
	}
	r.Engine = New(o)
	go func() {
		defer close(r.done)
		if start {
			r.err = r.Start(ctx)
		}
		if r.err == nil {
			r.err = r.Run(ctx)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-r.done
	})
	return r
}

// isReady reports whether Ready is closed.
func (r *running) isReady() bool {
	synctest.Wait()
	select {
	case <-r.Ready():
		return true
	default:
		return false
	}
}

// stop ends the engine and returns what Run returned.
func (r *running) stop() error {
	r.cancel()
	<-r.done
	return r.err
}

// wait returns what Run returns by itself.
func (r *running) wait() error {
	<-r.done
	return r.err
}

// seen returns the events of a kind.
func (r *running) seen(k Kind) []Event {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var es []Event
	for _, e := range r.events {
		if e.Kind == k {
			es = append(es, e)
		}
	}
	return es
}

func (r *running) count(k Kind, want int) {
	r.t.Helper()
	if got := r.seen(k); len(got) != want {
		r.t.Errorf("%d events %q, want %d: %v", len(got), k, want, got)
	}
}

// pass lets virtual time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// bubble runs f as a parallel test in virtual time.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { f(t, new(world)) })
}

func one(s aws.CredentialsProvider) []Profile { return []Profile{{Name: "a", Source: s}} }
