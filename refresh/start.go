package refresh

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// watchAfter is when the sources that Start has retrieved from begin to watch for changes:
// most commands end sooner.
const watchAfter = 750 * time.Millisecond

// Start retrieves and delivers the first credentials in the caller's goroutine, and returns
// when that is done, or has failed. Nothing limits its time: it is for sources and deliveries that
// ask nobody and wait for nobody, where goroutines and timers would take longer than they do.
// Run, which goes on from there, may be called once Start has returned nil; an error is
// one that Run would return. Start is optional, and works once.
func (e *Engine) Start(ctx context.Context) error {
	s, err := e.schedule()
	if err != nil {
		return err
	}
	e.begun = s
	return s.start(ctx)
}

func (s *schedule) start(ctx context.Context) error {
	s.wake()
	for p, retry := s.take(); p != nil; p, retry = s.take() {
		p.feed.watching, s.unwatched = true, append(s.unwatched, p.feed)
		begin := time.Now()
		r := p.feed.call(ctx)
		r.took, r.retry = time.Since(begin), retry
		s.tick()
		if err := s.handleRetrieve(r); err != nil {
			return err
		}
	}
	for t, updates := range s.dueDeliveries() {
		r := t.call(ctx, updates)
		s.tick()
		if err := s.handleDeliver(r); err != nil {
			return err
		}
	}
	if s.watchAt = s.mono; s.ready == nil { // else a person may be about to mend it
		s.watchAt = s.mono.Add(watchAfter)
	}
	return nil
}

// required is how many profiles must be delivered until the engine is ready.
func (s *schedule) required() int {
	if n := len(s.profiles); s.opts.Require <= 0 || s.opts.Require > n {
		return n
	}
	return s.opts.Require
}

// count counts the profiles of which f is true.
func (s *schedule) count(f func(*profile) bool) (n int) {
	for _, p := range s.profiles {
		if f(p) {
			n++
		}
	}
	return n
}

// checkReady closes ready once enough profiles were delivered.
func (s *schedule) checkReady() {
	if s.ready == nil || len(s.profiles) == 0 {
		return
	}
	if s.count(func(p *profile) bool { return p.held != nil }) >= s.required() {
		close(s.ready)
		s.ready = nil
	}
}

// hopeless reports whether so many profiles were refused for good that the engine can't
// become ready.
func (s *schedule) hopeless() bool {
	return s.ready != nil && len(s.profiles)-s.count(isRefused) < s.required()
}

func isRefused(p *profile) bool { return p.current == nil && p.permanent }

// refused returns the error that ends a start-up that is hopeless.
func (s *schedule) refused(p *profile, err error) error {
	err = s.withProfile(p, err)
	if n := s.count(isRefused); n > 1 {
		err = fmt.Errorf("%w (and %s more)", err, countOf(n-1))
	}
	return err
}

// overdue returns the error that ends a start-up that took too long.
func (s *schedule) overdue() error {
	if s.ready == nil || s.mono.Before(s.startBy) {
		return nil
	}
	missing, p := s.missing()
	if len(s.profiles)-missing >= s.required() {
		return s.undelivered()
	}
	if p.lastErr == nil {
		// None of them has failed yet, so all retrieve calls are under way or in the queue.
		// Their contexts end now: the results are worth waiting for.
		return nil
	}
	err := s.withProfile(p, fmt.Errorf("no credentials within %v: %w", s.opts.StartTimeout, p.lastErr))
	if missing > 1 {
		err = fmt.Errorf("%w (and %s more)", err, countOf(missing-1))
	}
	return err
}

// withProfile says which profile an error is about, where there is more than one.
func (s *schedule) withProfile(p *profile, err error) error {
	if len(s.profiles) == 1 {
		return err
	}
	return fmt.Errorf("profile %q: %w", p.name, err)
}

// countOf is so many profiles, in words.
func countOf(profiles int) string {
	if profiles == 1 {
		return "1 profile"
	}
	return fmt.Sprintf("%d profiles", profiles)
}

// missing returns how many profiles have no credentials, and the one whose error says most.
func (s *schedule) missing() (n int, first *profile) {
	for _, p := range s.profiles {
		if p.current != nil {
			continue
		}
		if n++; first == nil || (first.lastErr == nil && p.lastErr != nil) {
			first = p
		}
	}
	return n, first
}

func (s *schedule) undelivered() error {
	err := errors.New("no answer")
	for _, t := range s.sinks {
		if t.lastErr != nil {
			err = t.lastErr
			break
		}
	}
	return fmt.Errorf("deliver credentials: not done within %v: %w", s.opts.StartTimeout, err)
}
