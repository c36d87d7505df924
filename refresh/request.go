package refresh

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
)

// request is a call of Refresh. Only the loop touches it until the result is sent.
type request struct {
	names  []string   // nil: all
	result chan error // has room for one

	calling map[*profile]bool // of which a call has begun since
	open    int               // profiles without a result
	failed  int
	err     error // of the first that failed
}

// Refresh retrieves credentials of the profiles with these names now, of all if names is
// nil. It returns nil when each is delivered, also if the source gave those that it gave
// before. Otherwise it returns why not, once there is a result of each; errors.As finds an
// *Error. A failure is retried as ever, and what comes of that is told by events.
// If ctx ends first, Refresh returns its error; the calls go on.
func (e *Engine) Refresh(ctx context.Context, names []string) error {
	r := &request{names: names, result: make(chan error, 1)}
	select {
	case e.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-e.done:
		return errNotRunning
	}
	select {
	case err := <-r.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-e.done:
		return errNotRunning
	}
}

var errNotRunning = errors.New("the credentials are no longer kept fresh")

// handleRequest has the profiles of r retrieved now.
func (s *schedule) handleRequest(r *request) {
	ps := s.profiles
	if r.names != nil {
		ps = nil
		seen := map[string]bool{}
		for _, name := range r.names {
			p := s.byName[name]
			if p == nil || p.feed == nil {
				r.result <- fmt.Errorf("no profile %q", name)
				return
			}
			if !seen[name] {
				seen[name] = true
				ps = append(ps, p)
			}
		}
	}
	r.open, r.calling = len(ps), make(map[*profile]bool, len(ps))
	for _, p := range ps {
		p.waiting = append(p.waiting, r)
		s.handleChange(p)
		p.urgent = p.urgency() // it may be in a queue
	}
	heap.Init(&s.queue)
	heap.Init(&s.retries)
	if r.open == 0 {
		r.result <- nil
	}
}

// calling notes that a call begins, for whose result requests wait.
func (p *profile) calling() {
	for _, r := range p.waiting {
		r.calling[p] = true
	}
}

// callContext is the context of a call that begins: if requests wait for it, what others
// have retrieved before does not do.
func (p *profile) callContext(ctx context.Context) context.Context {
	if len(p.waiting) > 0 {
		return Anew(ctx)
	}
	return ctx
}

// resolve gives p's result to the requests that wait for it.
func (s *schedule) resolve(p *profile, err error) {
	s.resolveIf(p, err, func(*request) bool { return true })
}

// resolveCalled does so for the requests that came before the call.
func (s *schedule) resolveCalled(p *profile, err error) {
	s.resolveIf(p, err, func(r *request) bool { return r.calling[p] })
}

func (s *schedule) resolveIf(p *profile, err error, is func(*request) bool) {
	if len(p.waiting) == 0 {
		return
	}
	var rest []*request
	for _, r := range p.waiting {
		if !is(r) {
			rest = append(rest, r)
			continue
		}
		if err != nil {
			if r.failed++; r.err == nil {
				r.err = s.withProfile(p, err)
			}
		}
		if r.open--; r.open == 0 {
			r.result <- r.error()
		}
	}
	p.waiting = rest
}

func (r *request) error() error {
	if r.failed > 1 {
		return fmt.Errorf("%w (and %d profiles more)", r.err, r.failed-1)
	}
	return r.err
}
