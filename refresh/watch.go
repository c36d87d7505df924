package refresh

import (
	"context"
	"time"
)

// Watcher is a Source that learns by itself of another set, or that what made it
// fail is mended: a file was replaced, a person has logged in.
type Watcher interface {
	// Watch calls changed, from any goroutine, whenever it is worth asking the
	// source before it is due: a second after the last answer at the earliest,
	// however often it is called. It returns when ctx ends, and not before unless
	// there is nothing to watch.
	Watch(ctx context.Context, changed func())
}

// longest is the time limit of a Watch, which has none.
const longest = 100 * 365 * 24 * time.Hour

// watch lets every source that can tell of changes do so.
func (s *schedule) watch(ctx context.Context) {
	for _, p := range s.profiles {
		w, ok := p.Source.(Watcher)
		if !ok {
			continue
		}
		s.calls.Go(func() {
			start(ctx, longest, func(ctx context.Context) error {
				w.Watch(ctx, func() {
					if !p.hinted.Swap(true) {
						s.changes <- p // which has room: once for each profile
					}
				})
				return nil
			}).wait(retrieveGrace)
		})
	}
}

// changed has p asked soon.
func (s *schedule) changed(p *profile) {
	if p.asking {
		p.again = true // the answer may be older than the change
		return
	}
	s.hasten(p)
	s.reschedule(p)
}

func (s *schedule) hasten(p *profile) {
	p.again = false
	soon := s.wall
	if limit := p.answered.Add(minReask); limit.After(soon) {
		soon = limit
	}
	if soon.Before(p.due) {
		p.due = soon
	}
}
