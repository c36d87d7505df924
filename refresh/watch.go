package refresh

import (
	"context"
	"time"
)

// Watcher is a Source that learns by itself of other credentials, or that what made it
// fail is over: a file was replaced, a person has logged in.
type Watcher interface {
	// Watch calls changed, from any goroutine, whenever it is worth calling Retrieve
	// before that is due: a second after the last call at the earliest,
	// however often changed is called. It returns when ctx ends, and not before unless
	// there is nothing to watch.
	Watch(ctx context.Context, changed func())
}

// watchLimit is the time limit of a Watch, which has none.
const watchLimit = 100 * 365 * 24 * time.Hour

// watch lets every source that can tell of changes do so.
func (s *schedule) watch(ctx context.Context) {
	for _, p := range s.profiles {
		w, ok := p.Source.(Watcher)
		if !ok {
			continue
		}
		s.calls.Go(func() {
			var watch caller[error]
			watch.do(ctx, watchLimit, retrieveGrace, func(ctx context.Context) error {
				return Protect(func() error {
					w.Watch(ctx, func() {
						if !p.changePending.Swap(true) {
							s.changes <- p // which has room: once for each profile
						}
					})
					return nil
				})
			})
		})
	}
}

// handleChange has p retrieved soon.
func (s *schedule) handleChange(p *profile) {
	if p.retrieving {
		p.changedMeanwhile = true // the result may be older than the change
		return
	}
	s.expedite(p)
	s.reschedule(p)
}

func (s *schedule) expedite(p *profile) {
	p.changedMeanwhile = false
	soon := s.wall
	if limit := p.lastRetrieve.Add(minPoll); limit.After(soon) {
		soon = limit
	}
	if soon.Before(p.due) {
		p.due = soon
	}
}
