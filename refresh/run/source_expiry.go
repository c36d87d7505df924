package run

import (
	"context"
	"sync"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source"
)

// sourceExpiries says in advance that a source expires: a login, a certificate.
type sourceExpiries struct {
	profiles *profiles
	before   time.Duration
	record   func(profile string, end source.Expiry, known bool)
	tell     func(*profile, source.Expiry)

	mu      sync.Mutex
	changed map[string]bool // profiles that were retrieved: their sources may expire at another time
	wake    chan struct{}   // has one when changed has some
}

// sourceExpiry is what is known of one source.
type sourceExpiry struct {
	next, told time.Time // the expiry that is waited for, and the last one that was told of
	what       string    // that one
	look       time.Time // when it is looked at again, on the monotonic clock; zero: after the next retrieve call
}

// expiryPoll is how often an expiry that is known is looked at again: a person may
// have put it off, and a machine may have slept.
const expiryPoll = 30 * time.Second

func newSourceExpiries(p *profiles, before time.Duration, record func(string, source.Expiry, bool), tell func(*profile, source.Expiry)) *sourceExpiries {
	return &sourceExpiries{profiles: p, before: before, record: record, tell: tell, changed: map[string]bool{}, wake: make(chan struct{}, 1)}
}

// run calls tell once for each expiry; profiles whose sources live on the same login
// have one. It sleeps for good where no source has any.
func (e *sourceExpiries) run(ctx context.Context) error {
	known := map[string]*sourceExpiry{}
	timer := time.NewTimer(expiryPoll)
	defer timer.Stop()
	for {
		timed := false
		select {
		case <-ctx.Done():
			return nil
		case <-e.wake:
		case <-timer.C:
			timed = true
		}
		changed := e.take()
		for name := range changed {
			if known[name] == nil {
				known[name] = &sourceExpiry{}
			}
		}
		now, wait := time.Now(), time.Duration(0)
		for name, one := range known {
			p := e.profiles.get(name)
			if p == nil {
				delete(known, name)
				continue
			}
			if changed[name] || timed && !one.look.IsZero() && !one.look.After(now) {
				e.look(p, one, known, changed[name])
			}
			if !one.look.IsZero() && (wait == 0 || one.look.Sub(now) < wait) {
				wait = max(one.look.Sub(now), time.Millisecond)
			}
		}
		if timer.Stop(); wait > 0 {
			timer.Reset(wait)
		}
	}
}

// look looks at the expiry of a source where that may have changed, or is due.
func (e *sourceExpiries) look(p *profile, one *sourceExpiry, known map[string]*sourceExpiry, retrieved bool) {
	one.look = time.Time{}
	if left := e.left(one.next); !retrieved && left > 0 {
		one.look = time.Now().Add(min(left, expiryPoll))
		return
	}
	end, ok := p.src.Expiry()
	e.record(p.Name, end, ok)
	left, alive := e.left(end.At), time.Now().Round(0).Before(end.At)
	switch {
	case !ok && one.next.IsZero(), ok && same(end.At, one.told):
		return
	case ok && left <= 0 && (alive || same(end.At, one.next)):
		// An expiry that had passed before it was first seen makes the next refresh fail, which says so.
		first := true
		for _, other := range known {
			first = first && !(same(end.At, other.told) && other.what == end.What)
		}
		one.told, one.what = end.At, end.What
		if first {
			e.tell(p, end)
		}
		return
	case ok && alive:
		one.next = end.At
	}
	if left <= 0 {
		left = expiryPoll // the cache of a login may be half written
	}
	one.look = time.Now().Add(min(left, expiryPoll))
}

// left is the time until a person is to be told of an expiry, 0 if there is none.
func (e *sourceExpiries) left(end time.Time) time.Duration {
	if end.IsZero() {
		return 0
	}
	return end.Sub(time.Now().Round(0)) - e.before
}

// same allows for a difference to the server's clock that is measured anew.
func same(a, b time.Time) bool { return a.Sub(b).Abs() < time.Minute }

func (e *sourceExpiries) take() map[string]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	changed := e.changed
	e.changed = map[string]bool{}
	return changed
}

// part follows the engine, after whose calls a source may expire at another time.
func (e *sourceExpiries) part() Part {
	return Part{Name: "the watch for the expiry of the source", Run: e.run, Engine: func(ev refresh.Event, _ bool) {
		if ev.Kind != refresh.Refreshed && ev.Kind != refresh.Unchanged && ev.Kind != refresh.Failed {
			return
		}
		e.mu.Lock()
		e.changed[ev.Profile] = true
		e.mu.Unlock()
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}}
}
