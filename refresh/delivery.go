package refresh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// New credentials wait for those that are being retrieved, so that a burst of hundreds
	// is not hundreds of rewrites of one file: for coalesceWindow at first, and up to
	// maxWindow the longer the burst goes on and the longer the delivery takes, so that what
	// is written grows with what there is, and not with its square.
	coalesceWindow, maxWindow = 200 * time.Millisecond, 5 * time.Second

	deliverTimeout = time.Minute
	deliverGrace   = 5 * time.Second // a file being replaced is better finished
)

// sink is a Delivery and which credentials it has.
type sink struct {
	delivery Delivery
	index    int               // its place in profile.has
	lacks    map[*profile]bool // those that it may have an older version of

	behind  bool      // there is a newer version than in the call under way
	by      time.Time // when it is to be called for it, monotonic
	burstBy time.Time // the same while others are being retrieved
	called  bool      // at some time
	took    time.Duration

	busy     bool
	calls    caller[deliverResult] // touched by the delivering goroutine only
	failures int                   // in a row
	retry    time.Time             // not before, monotonic
	lastErr  error
}

type update struct {
	profile *profile
	version *version
}

type deliverResult struct {
	sink    *sink
	updates []update
	late    bool // they are those of an earlier call
	took    time.Duration
	err     error
}

// markBehind marks all sinks as lacking a version of p, which may wait for those of others.
func (s *schedule) markBehind(p *profile, wait time.Duration) {
	for _, t := range s.sinks {
		t.lacks[p] = true
		by, burstBy := s.mono.Add(wait), s.mono.Add(max(wait, s.window(t, p)))
		if !t.behind || by.Before(t.by) {
			t.by = by
		}
		if !t.behind || burstBy.Before(t.burstBy) {
			t.burstBy = burstBy
		}
		t.behind = true
	}
}

// window is how long a version of p may wait while others are being retrieved.
func (s *schedule) window(t *sink, p *profile) time.Duration {
	if s.ready != nil {
		switch {
		case s.count(func(p *profile) bool { return p.current != nil }) >= s.required():
			return 0 // the command can start
		case t.called:
			return maxWindow // nobody reads it yet
		}
		return coalesceWindow // says early whether the delivery works
	}
	w := min(max(coalesceWindow, 10*t.took, s.mono.Sub(s.burst)), maxWindow)
	if p.held != nil && !p.heldExpiry.IsZero() {
		w = min(w, max(p.heldExpiry.Sub(s.wall)/10, coalesceWindow))
	}
	return w
}

// deliverAt returns when t is to be called, on the monotonic clock.
func (s *schedule) deliverAt(t *sink) time.Time {
	at := t.by
	if s.busy+len(s.queue)+len(s.retries) > 0 {
		at = t.burstBy
	}
	if at.After(t.retry) {
		return at
	}
	return t.retry
}

// deliverDue delivers to each sink that lacks a version and is not being called.
func (s *schedule) deliverDue(ctx context.Context) {
	for t, updates := range s.dueDeliveries() {
		s.calls.Go(func() { s.delivered <- t.deliver(ctx, updates) })
	}
}

// dueDeliveries gives the sinks that are to be called now, and what for.
func (s *schedule) dueDeliveries() iter.Seq2[*sink, []update] {
	return func(yield func(*sink, []update) bool) {
		for _, t := range s.sinks {
			if !t.behind || t.busy || s.deliverAt(t).After(s.mono) {
				continue
			}
			t.behind, t.called = false, true
			var updates []update
			for p := range t.lacks {
				if p.wanted != p.has[t.index] {
					updates = append(updates, update{p, p.wanted})
				}
			}
			if len(updates) == 0 {
				continue
			}
			slices.SortFunc(updates, func(a, b update) int { return cmp.Compare(a.profile.place, b.profile.place) })
			t.busy = true
			if !yield(t, updates) {
				return
			}
		}
	}
}

// deliver calls the delivery, and returns when that does, or a little after the time limit.
func (t *sink) deliver(ctx context.Context, updates []update) deliverResult {
	late := t.calls.hung != nil
	result, returned := t.calls.do(ctx, deliverTimeout, deliverGrace, func(ctx context.Context) deliverResult {
		return t.call(ctx, updates)
	})
	if !returned {
		return deliverResult{sink: t, updates: updates, err: fmt.Errorf("delivery does not return: %w", context.DeadlineExceeded)}
	}
	result.late = late
	return result
}

// call calls the delivery.
func (t *sink) call(ctx context.Context, updates []update) deliverResult {
	creds := make(map[string]aws.Credentials, len(updates))
	for _, p := range updates {
		creds[p.profile.name] = p.version.creds
	}
	begin := time.Now()
	err := Protect(func() error { return t.delivery.Deliver(ctx, creds) })
	return deliverResult{sink: t, updates: updates, took: time.Since(begin), err: err}
}

// handleDeliver takes the result of a deliver call. It returns an error that ends the
// start-up.
func (s *schedule) handleDeliver(r deliverResult) error {
	t := r.sink
	t.busy, t.took = false, r.took
	defer func() {
		for _, p := range r.updates {
			p.profile.recheckExpiry()
			s.reschedule(p.profile)
		}
	}()
	if r.err != nil {
		if s.ready != nil && unrecoverable(r.err) {
			return fmt.Errorf("deliver credentials: %w", r.err)
		}
		t.failures++
		t.lastErr = r.err
		if !t.behind {
			t.behind, t.by, t.burstBy = true, s.mono, s.mono
		}
		wait := backoff(t.failures, 1, maxDeliveryBackoff, s.rnd())
		t.retry = s.mono.Add(wait)
		s.notify(Event{Kind: DeliveryFailed, Attempt: t.failures, Next: s.wall.Add(wait), Err: r.err})
		for _, p := range r.updates {
			s.resolveDelivery(p, fmt.Errorf("deliver credentials: %w", r.err))
		}
		return nil
	}
	t.failures, t.lastErr, t.retry = 0, nil, time.Time{}
	if r.late && !t.behind {
		t.behind, t.by, t.burstBy = true, s.mono, s.mono
	}
	for _, p := range r.updates {
		p.profile.has[t.index] = p.version
		if p.version == p.profile.wanted {
			delete(t.lacks, p.profile)
		}
		if p.profile.feed == nil {
			s.noteGone(p.profile)
		} else {
			s.noteHeld(p.profile)
		}
	}
	return nil
}

// resolveDelivery gives the result of a delivery to the requests that wait for it.
func (s *schedule) resolveDelivery(u update, err error) {
	if u.version == u.profile.current {
		s.resolve(u.profile, retrieved, err)
	}
}

// noteHeld finds the oldest version of p that any sink holds by now: the command can
// count on that one.
func (s *schedule) noteHeld(p *profile) {
	oldest := p.current
	if oldest == nil {
		return
	}
	for _, v := range p.has {
		if v == nil || v.gone {
			return
		}
		if v.seq < oldest.seq {
			oldest = v
		}
	}
	was := p.held
	if was != nil && oldest.seq <= was.seq {
		return
	}
	p.held, p.heldExpiry = oldest, oldest.creds.Expires
	if was != nil && oldest.generation == was.generation {
		if p.heldExpiry.After(s.wall) {
			p.expiredReport = notReported
		}
		return
	}
	p.expiredReport = notReported
	e := oldest.event(Refreshed, p)
	e.Life, e.Next, e.Attempt, e.Took = oldest.lifetime, p.due, oldest.attempt, oldest.took
	s.notify(e)
	if oldest == p.current {
		s.resolve(p, retrieved, nil)
	}
	if was == nil {
		s.checkReady()
	}
}

// underWay reports whether credentials that have not expired are being delivered to the
// sinks that hold older ones, none of which had trouble with them.
func (s *schedule) underWay(p *profile) bool {
	if p.current.creds.CanExpire && !p.current.creds.Expires.After(s.wall) {
		return false
	}
	for _, t := range s.sinks {
		if t.failures > 0 && p.has[t.index] != p.current {
			return false
		}
	}
	return true
}

// unrecoverable reports whether a delivery failed in a way that waiting does not cure.
func unrecoverable(err error) bool {
	return isPermanent(err) || errors.Is(err, fs.ErrPermission) || noRoom(err)
}
