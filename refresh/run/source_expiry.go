package run

import (
	"context"
	"time"

	"brs-exec/refresh"
	"brs-exec/refresh/source"
)

// sourceExpiry says in advance that the source expires: a login, a certificate.
type sourceExpiry struct {
	of        func() (source.Expiry, bool)
	before    time.Duration
	record    *recorder
	tell      func(source.Expiry)
	retrieved chan struct{} // from the source: its expiry may be another one; room for one
}

// expiryPoll is how often an expiry that is known is looked at again: a person may
// have put it off, and a machine may have slept.
const expiryPoll = 30 * time.Second

func newSourceExpiry(of func() (source.Expiry, bool), before time.Duration, record *recorder, tell func(source.Expiry)) *sourceExpiry {
	return &sourceExpiry{of: of, before: before, record: record, tell: tell, retrieved: make(chan struct{}, 1)}
}

// run calls tell once for each expiry. It sleeps for good where the source has none.
func (e *sourceExpiry) run(ctx context.Context) error {
	timer := time.NewTimer(expiryPoll)
	defer timer.Stop()
	var next, told time.Time // the expiry that is waited for, and the last one that was told of
	for {
		looks := true
		select {
		case <-ctx.Done():
			return nil
		case <-e.retrieved:
		case <-timer.C:
			looks = e.left(next) <= 0
		}
		if !looks {
			timer.Reset(min(e.left(next), expiryPoll))
			continue
		}
		end, ok := e.of()
		e.record.sourceExpiry(end, ok)
		left, alive := e.left(end.At), time.Now().Round(0).Before(end.At)
		switch {
		case !ok && next.IsZero(), ok && same(end.At, told):
			timer.Stop()
			continue
		case ok && left <= 0 && (alive || same(end.At, next)):
			// An expiry that had passed before it was first seen makes the next refresh fail, which says so.
			told = end.At
			e.tell(end)
			timer.Stop()
			continue
		case ok && alive:
			next = end.At
		}
		if left <= 0 {
			left = expiryPoll // the cache of a login may be half written
		}
		timer.Reset(min(left, expiryPoll))
	}
}

// left is the time until a person is to be told of an expiry, 0 if there is none.
func (e *sourceExpiry) left(end time.Time) time.Duration {
	if end.IsZero() {
		return 0
	}
	return end.Sub(time.Now().Round(0)) - e.before
}

// same allows for a difference to the server's clock that is measured anew.
func same(a, b time.Time) bool { return a.Sub(b).Abs() < time.Minute }

// part follows the engine, after whose calls the source may expire at another time.
func (e *sourceExpiry) part() Part {
	return Part{Name: "the watch for the expiry of the source", Run: e.run, Engine: func(ev refresh.Event, _ bool) {
		if ev.Kind != refresh.Refreshed && ev.Kind != refresh.Unchanged && ev.Kind != refresh.Failed {
			return
		}
		select {
		case e.retrieved <- struct{}{}:
		default:
		}
	}}
}
