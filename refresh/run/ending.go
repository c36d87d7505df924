package run

import (
	"context"
	"errors"
	"time"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
	"brs-exec/refresh/source"
)

// ending tells ahead of the end of what the source lives on: a login, a certificate.
type ending struct {
	of     func() (source.Ending, bool)
	before time.Duration
	tell   func(source.Ending)
	asked  chan struct{} // that the source has been asked: its end may be another one; room for one
}

// endingPoll is how often an end that is known is looked at again: a person may
// have put it off, and a machine may have slept.
const endingPoll = 30 * time.Second

func newEnding(of func() (source.Ending, bool), before time.Duration, tell func(source.Ending)) *ending {
	return &ending{of: of, before: before, tell: tell, asked: make(chan struct{}, 1)}
}

// run tells of each end once. It sleeps for good where the source has none.
func (e *ending) run(ctx context.Context) error {
	timer := time.NewTimer(endingPoll)
	defer timer.Stop()
	var next, told time.Time // the end that is waited for, and the last one that was told of
	for {
		looks := true
		select {
		case <-ctx.Done():
			return nil
		case <-e.asked:
		case <-timer.C:
			looks = e.left(next) <= 0
		}
		if !looks {
			timer.Reset(min(e.left(next), endingPoll))
			continue
		}
		end, ok := e.of()
		left, alive := e.left(end.At), time.Now().Round(0).Before(end.At)
		switch {
		case !ok && next.IsZero(), ok && same(end.At, told):
			timer.Stop()
			continue
		case ok && left <= 0 && (alive || same(end.At, next)):
			// An end that had come before it was first seen is what the next refresh fails with.
			told = end.At
			e.tell(end)
			timer.Stop()
			continue
		case ok && alive:
			next = end.At
		}
		if left <= 0 {
			left = endingPoll // the cache of a login may be half written
		}
		timer.Reset(min(left, endingPoll))
	}
}

// left is the time until a person is told of an end, 0 if there is none.
func (e *ending) left(end time.Time) time.Duration {
	if end.IsZero() {
		return 0
	}
	return end.Sub(time.Now().Round(0)) - e.before
}

// same allows for a difference to the server's clock that is measured anew.
func same(a, b time.Time) bool { return a.Sub(b).Abs() < time.Minute }

// event lets run look at the end that the source has now.
func (e *ending) event(k refresh.Kind) {
	if k != refresh.Refreshed && k != refresh.Unchanged && k != refresh.Failed {
		return
	}
	select {
	case e.asked <- struct{}{}:
	default:
	}
}

// sourceEnds tells a person, in the log and by the hook of --on-source-ending.
func (s *session) sourceEnds(ctx context.Context, end source.Ending) {
	s.log.Error("the source ends, and only a person can change this", "what", end.What, "ends", end.At, "hint", end.Hint)
	if s.plan.OnSourceEnding.Act == plan.Exec {
		s.goHook(func() {
			s.sourceHook(ctx, "source-ending", end.What, end.Hint, end.At)
		})
	}
}

// refused runs the hook when the source gives nothing any more, whether that was
// known ahead or not. The time is that of the end of the set at hand.
func (s *session) refused(ctx context.Context, e refresh.Event) {
	if s.plan.OnSourceEnding.Act != plan.Exec {
		return
	}
	hint := ""
	var source *refresh.Error
	if errors.As(e.Err, &source) {
		hint = source.Hint
	}
	s.goHook(func() { s.sourceHook(ctx, "source-ended", e.Err.Error(), hint, e.Expires) })
}
