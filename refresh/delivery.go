package refresh

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// gather is how long a new set waits for those that are being asked for, so
	// that a burst of hundreds is not hundreds of rewrites of one file.
	gather = 200 * time.Millisecond

	deliverTimeout = time.Minute
	deliverGrace   = 5 * time.Second // a file being replaced is better finished
)

// target is a Delivery and what it was given.
type target struct {
	delivery Delivery
	has      []*version // by profile.index: what it took last

	stale bool      // it may lack a version
	since time.Time // when it became so, monotonic

	busy     bool
	called   *handover // that has not returned although its time is over; touched by the delivering goroutine only
	failures int       // in a row
	retry    time.Time // not before, monotonic
	lastErr  error
}

type parcel struct {
	profile *profile
	version *version
}

// handover is one call of a delivery.
type handover struct {
	*call
	parcels []parcel
}

type receipt struct {
	target  *target
	parcels []parcel
	late    bool // they are those of an earlier call
	err     error
}

// outdate marks all targets as lacking something.
func (s *schedule) outdate() {
	for _, t := range s.targets {
		if !t.stale {
			t.stale, t.since = true, s.mono
		}
	}
}

// deliverAt returns when t is to be called, on the monotonic clock.
func (s *schedule) deliverAt(t *target) time.Time {
	if at := t.since.Add(gather); s.busy+len(s.queue) > 0 && at.After(t.retry) {
		return at
	}
	return t.retry
}

// deliver calls each target that lacks something and is not being called.
func (s *schedule) deliver(ctx context.Context) {
	for _, t := range s.targets {
		if !t.stale || t.busy || s.deliverAt(t).After(s.mono) {
			continue
		}
		t.stale = false
		var parcels []parcel
		for i, p := range s.profiles {
			if p.current != t.has[i] {
				parcels = append(parcels, parcel{p, p.current})
			}
		}
		if len(parcels) == 0 {
			continue
		}
		t.busy = true
		s.calls.Go(func() { s.receipts <- t.deliver(ctx, parcels) })
	}
}

func (t *target) deliver(ctx context.Context, parcels []parcel) receipt {
	h, late, returned := t.called, t.called != nil, false
	if late {
		returned = h.wait(0)
	} else {
		sets := make(map[string]aws.Credentials, len(parcels))
		for _, p := range parcels {
			sets[p.profile.Name] = p.version.creds
		}
		h = &handover{parcels: parcels}
		h.call = start(ctx, deliverTimeout, func(ctx context.Context) error { return t.delivery.Deliver(ctx, sets) })
		returned = h.wait(deliverGrace)
	}
	if !returned {
		t.called = h
		return receipt{target: t, parcels: h.parcels, err: fmt.Errorf("delivery does not return: %w", context.DeadlineExceeded)}
	}
	t.called = nil
	return receipt{target: t, parcels: h.parcels, late: late, err: h.err}
}

// delivered takes what a target said. It returns an error that ends the start-up.
func (s *schedule) delivered(r receipt) error {
	t := r.target
	t.busy = false
	defer func() {
		for _, p := range r.parcels {
			p.profile.news()
			s.reschedule(p.profile)
		}
	}()
	if r.err != nil {
		if s.ready != nil && hopeless(r.err) {
			return fmt.Errorf("deliver credentials: %w", r.err)
		}
		t.failures++
		t.lastErr = r.err
		t.stale = true
		wait := backoff(t.failures, maxDeliveryBackoff, rand.Float64())
		t.retry = s.mono.Add(wait)
		s.notify(Event{Kind: DeliveryFailed, Attempt: t.failures, Next: s.wall.Add(wait), Err: r.err})
		return nil
	}
	t.failures, t.lastErr, t.retry = 0, nil, time.Time{}
	t.stale = t.stale || r.late
	for _, p := range r.parcels {
		t.has[p.profile.index] = p.version
		s.noteHeld(p.profile)
	}
	return nil
}

// noteHeld finds out what all targets hold of p by now: that is what its child
// can count on.
func (s *schedule) noteHeld(p *profile) {
	oldest := p.current
	for _, t := range s.targets {
		v := t.has[p.index]
		if v == nil {
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
	p.held, p.ends = oldest, oldest.creds.Expires
	if was != nil && oldest.set == was.set {
		if p.ends.After(s.wall) {
			p.endTold = no
		}
		return
	}
	p.endTold = no
	s.notify(Event{
		Kind: Refreshed, Profile: p.Name, KeyID: oldest.keyID(), Expires: p.ends,
		Life: oldest.life, Next: p.due, Attempt: oldest.attempt,
	})
	if was == nil {
		s.unready--
		if s.unready == 0 {
			close(s.ready)
			s.ready = nil
		}
	}
}

// underWay reports whether a set that has not ended is being delivered to the
// targets that hold an older one, none of which had trouble with it.
func (s *schedule) underWay(p *profile) bool {
	if p.current.creds.CanExpire && !p.current.creds.Expires.After(s.wall) {
		return false
	}
	for _, t := range s.targets {
		if t.failures > 0 && t.has[p.index] != p.current {
			return false
		}
	}
	return true
}

// hopeless reports whether a delivery failed in a way that waiting does not cure.
func hopeless(err error) bool {
	return isPermanent(err) || errors.Is(err, fs.ErrPermission) || noRoom(err)
}
