package refresh

import (
	"errors"
	"fmt"
)

// overdue returns the error that ends a start-up that took too long.
func (s *schedule) overdue() error {
	if s.ready == nil || s.mono.Before(s.startBy) {
		return nil
	}
	missing, p := s.missing()
	if missing == 0 {
		return s.undelivered()
	}
	if p.lastErr == nil {
		// None of them has failed yet, so all retrieve calls are under way or in the queue.
		// Their contexts end now: the results are worth waiting for.
		return nil
	}
	err := s.withProfile(p, fmt.Errorf("no credentials within %v: %w", s.opts.StartTimeout, p.lastErr))
	if missing > 1 {
		err = fmt.Errorf("%w (and %d profiles more)", err, missing-1)
	}
	return err
}

// withProfile says which profile an error is about, where there is more than one.
func (s *schedule) withProfile(p *profile, err error) error {
	if len(s.profiles) == 1 {
		return err
	}
	return fmt.Errorf("profile %q: %w", p.Name, err)
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
