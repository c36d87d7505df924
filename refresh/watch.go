package refresh

import (
	"context"
	"slices"
	"sync"
)

// Watcher is a Source that learns by itself of other credentials, or that what made it
// fail is over: a file was replaced, a person has logged in.
type Watcher interface {
	// Watch has changed called, from any goroutine, whenever it is worth calling Retrieve
	// before that is due: a second after the last call at the earliest,
	// however often changed is called. Watch returns at once; it is called once, before
	// the first Retrieve or, if that was by Start, a moment after it. stop ends it: changed may
	// still be called by then, without harm.
	Watch(changed func()) (stop func())
}

// changes gathers the feeds whose sources told of a change until the loop looks.
type changes struct {
	mu     sync.Mutex
	feeds  []*feed
	signal chan struct{} // has room for one
}

func newChanges() *changes { return &changes{signal: make(chan struct{}, 1)} }

// add notes a change. It may be called from any goroutine.
func (c *changes) add(f *feed) {
	if f.changePending.Swap(true) {
		return
	}
	c.mu.Lock()
	c.feeds = append(c.feeds, f)
	c.mu.Unlock()
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

func (c *changes) take() []*feed {
	c.mu.Lock()
	defer c.mu.Unlock()
	fs := c.feeds
	c.feeds = nil
	for _, f := range fs {
		f.changePending.Store(false)
	}
	return fs
}

// watch lets the source tell of changes, if it can.
func (f *feed) watch(c *changes) {
	w, ok := f.source.(Watcher)
	if !ok {
		return
	}
	var stop func()
	Protect(func() error { stop = w.Watch(func() { c.add(f) }); return nil })
	f.mu.Lock()
	ended := f.ended
	f.stop = stop
	f.mu.Unlock()
	if ended {
		f.end()
	}
}

// end ends the watch of the source.
func (f *feed) end() {
	f.mu.Lock()
	stop := f.stop
	f.stop, f.ended = nil, true
	f.mu.Unlock()
	if stop != nil {
		Protect(func() error { stop(); return nil })
	}
}

// watchAll lets the sources watch that Start has retrieved from.
func (s *schedule) watchAll() {
	fs := s.unwatched
	s.unwatched = nil
	s.apart(func() {
		for _, f := range fs {
			f.watch(s.changes)
		}
	})
}

// endUnwatched ends a feed whose source watches nothing, and tells whether it is one.
func (f *feed) endUnwatched() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = f.ended || f.stop == nil
	return f.stop == nil
}

// endFeeds ends the watches of sources.
func (s *schedule) endFeeds(fs []*feed) {
	if fs = slices.DeleteFunc(fs, (*feed).endUnwatched); len(fs) == 0 {
		return
	}
	s.apart(func() {
		for _, f := range fs {
			f.end()
		}
	})
}

// apart calls f, which is foreign code, in a goroutine. Run does not wait long for one that hangs.
func (s *schedule) apart(f func()) {
	s.calls.Go(func() {
		var c caller[struct{}]
		c.do(context.Background(), 0, retrieveGrace, func(context.Context) struct{} { f(); return struct{}{} })
	})
}

// handleChanges has those retrieved soon whose sources told of a change.
func (s *schedule) handleChanges() {
	for _, f := range s.changes.take() {
		if p := f.profile; p.feed == f {
			s.handleChange(p)
		}
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
		p.due, p.early = soon, true
	}
}
