package source

import (
	"context"
	"slices"
	"sync"
	"time"

	"brs-exec.example/brs-exec/refresh"
)

// common is the beginning of the way to their credentials that several sources of a pool have
// in common: a base, or a role that others are assumed from. What it gives is retrieved once for all of them.
//
// What it gives is numbered, and no source takes one number twice: when a source comes again,
// for its next refresh or because what it took was refused, new credentials are retrieved, as
// they would be for that source alone, and all who come after it take those. So a round of
// refreshes of however many sources retrieves once, and a retry of any is one.
type common struct {
	key   string
	n     int     // how many roles it has
	first *Source // that it is made after
	users int     // sources that go this way; guarded by Pool.mu

	mu      sync.Mutex // guards what follows
	own     *Source    // that goes the way; nil before the first time
	running *commonCall
	number  uint64 // of what follows; 0: there is nothing yet
	got     issue
	err     error
	at      time.Time     // when that came
	life    time.Duration // what remained then
}

// commonCall is one retrieval for all who wait for it.
type commonCall struct {
	cancel  context.CancelFunc
	waiting int           // it is cancelled when nobody is; guarded by common.mu
	done    chan struct{} // closed when it has ended
}

// way is a common as one source goes it.
type way struct {
	*common
	taken uint64 // the number that it has taken; guarded by Source.retrieving
}

const (
	// commonError is how long an error counts for all who have not had it: a
	// thousand sources that begin to fail need not each find out.
	commonError = 2 * time.Second

	// commonAge is how long credentials that do not expire are shared. That others have
	// taken their place, only a refusal would tell.
	commonAge = 15 * time.Minute

	// anewAge is the same where a person wants everything new: they mean all of a list.
	anewAge = 5 * time.Second
)

// ways are the beginnings of f's way, shortest first. With each, one more goes it.
func (s *Source) ways(f *resolved) []way {
	if s.pool.one {
		return nil
	}
	var all []way
	for n := 0; n < len(f.roles) || n == 0 && f.mfa != ""; n++ {
		if n > 0 || !f.atHand {
			all = append(all, way{common: s.pool.common(s, s.key(f, n), n, 1)})
		}
	}
	return all
}

// common is the one of that key, with so many more who go it.
func (p *Pool) common(s *Source, key string, n, users int) *common {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.commons[key]
	if c == nil {
		c = &common{key: key, n: n, first: s}
		p.commons[key] = c
	}
	c.users += users
	return c
}

// leave is for a source that goes these ways no more.
func (p *Pool) leave(ways []way) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range ways {
		if c := ways[i].common; c.users > 0 {
			if c.users--; c.users == 0 {
				delete(p.commons, c.key)
			}
		}
	}
}

// retire is for a source that nobody wants anything of any more.
func (s *Source) retire() {
	for _, src := range s.sources() {
		if !src.retired.Swap(true) {
			s.pool.leave(src.current().ways)
		}
	}
}

// baseExpiry is the source expiry of the base, by whoever asks it.
func (f *resolved) baseExpiry() (Expiry, bool) {
	for i := range f.ways {
		c := f.ways[i].common
		c.mu.Lock()
		own := c.own
		c.mu.Unlock()
		if c.n == 0 && own != nil && own.current().expiry != nil {
			return own.current().expiry()
		}
	}
	return f.expiry()
}

// longestCommon is the longest of f's ways that others go as well, and that has no more than
// so many roles; nil if there is none.
func (s *Source) longestCommon(f *resolved, roles int) *way {
	for i := range slices.Backward(f.ways) {
		w := &f.ways[i]
		s.pool.mu.Lock()
		shared := w.users > 1
		s.pool.mu.Unlock()
		if shared && w.n <= roles && w.prepare() {
			return w
		}
	}
	return nil
}

// prepare makes the source that goes the way, and says whether there is one.
func (c *common) prepare() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own != nil {
		return true
	}
	spec := c.first.spec
	spec.Share = Share{} // each shares what it gets in the end
	own := c.first.pool.make(spec)
	own.forOthers = true
	own.dir, own.left, own.pair = c.first.dir, c.first.left, own.spec.pair()
	if h := c.first.sharing; h != nil {
		own.sharing = &sharing{cache: h.cache} // for sessions of MFA
	}
	f, err := own.resolve()
	if err != nil || own.key(f, c.n) != c.key {
		return false // the configuration has changed
	}
	f.roles, f.partial = f.roles[:c.n], true
	if c.n == 0 {
		f.mfa = ""
	}
	for n := range c.n {
		if n > 0 || !f.atHand {
			f.ways = append(f.ways, way{common: own.pool.common(own, own.key(f, n), n, 0)})
		}
	}
	own.resolved, own.notes = f, nil // the sources that go this way have them
	c.own, c.first = own, nil
	return true
}

// take gives s what it has not had yet.
func (w *way) take(ctx context.Context, s *Source) (issue, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.taken != w.number && w.good() && (!refresh.IsAnew(ctx) || time.Since(w.at) < anewAge) {
		return w.give(s)
	}
	call := w.running
	if call == nil {
		// It is nobody's own, and goes on as long as anyone waits for it.
		all, cancel := context.WithCancel(context.WithoutCancel(ctx))
		call = &commonCall{cancel: cancel, done: make(chan struct{})}
		w.running = call
		go w.run(all, call)
	}
	call.waiting++
	w.mu.Unlock()
	select {
	case <-call.done:
	case <-ctx.Done():
	}
	w.mu.Lock()
	if call.waiting--; call.waiting == 0 {
		call.cancel()
		if w.running == call {
			w.running = nil
		}
	}
	if ctx.Err() != nil && (w.number == w.taken || !w.good()) {
		s.web.adopt(w.own.web)
		return issue{}, ctx.Err()
	}
	return w.give(s)
}

// run retrieves for all who wait.
func (c *common) run(ctx context.Context, call *commonCall) {
	defer call.cancel()
	var got issue
	err := refresh.Protect(func() (err error) {
		got, err = c.own.goWay(ctx, c.key)
		return err
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(call.done)
	if c.running == call {
		c.running = nil
	} else if err != nil {
		return // that nobody has waited for it is the cause
	}
	c.number++
	c.got, c.err, c.at = got, err, time.Now()
	c.life = got.Expires.Sub(c.own.serverTime())
}

// goWay retrieves what is in common.
func (s *Source) goWay(ctx context.Context, key string) (issue, error) {
	// One that was given up on may not have ended.
	done, err := s.pool.attempts.turn(ctx, "way "+key)
	if err != nil {
		return issue{}, err
	}
	defer done()
	defer s.enterDir()()
	s.retrieving.Lock()
	defer s.retrieving.Unlock()
	ctx = s.web.in(ctx)
	s.web.asked("")
	if s.served.Swap(false) {
		s.unusedBase = issue{}
	}
	return s.steps(ctx, s.resolved)
}

// good says whether what is there may still be given to one that has not had it.
func (c *common) good() bool {
	switch age := time.Since(c.at); {
	case c.number == 0:
		return false
	case c.err != nil:
		return age < commonError
	case !c.got.CanExpire:
		return age < commonAge
	}
	return c.got.Expires.Sub(c.own.serverTime()) > min(mfaLeft, c.life/2)
}

// give gives s what is there, and what the servers have told, as if it had asked.
func (w *way) give(s *Source) (issue, error) {
	w.taken = w.number
	s.web.adopt(w.own.web)
	for _, note := range w.own.Notes() {
		s.note("%s", note)
	}
	return w.got, w.err
}

// markServed tells that credentials have come of what is in common.
func (f *resolved) markServed() {
	for _, w := range f.ways {
		w.mu.Lock()
		if w.own != nil {
			w.own.served.Store(true)
		}
		w.mu.Unlock()
	}
}
