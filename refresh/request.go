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

	stage  map[*profile]stage
	open   int // profiles without a result
	failed int
	err    error // of the first that failed
}

// stage is how far a profile has come since a request.
type stage int

const (
	requested stage = iota
	calling         // a call has begun
	retrieved       // it brought credentials, which are to be delivered
)

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
	r.open, r.stage = len(ps), make(map[*profile]stage, len(ps))
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

// advance notes that p has come from one stage to the next, for the requests that wait.
func (p *profile) advance(from, to stage) {
	for _, r := range p.waiting {
		if r.stage[p] == from {
			r.stage[p] = to
		}
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

// resolve gives p's result to the requests for which it has come to that stage.
func (s *schedule) resolve(p *profile, from stage, err error) {
	if len(p.waiting) == 0 {
		return
	}
	var rest []*request
	for _, r := range p.waiting {
		if r.stage[p] < from {
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
		return fmt.Errorf("%w (and %s more)", r.err, countOf(r.failed-1))
	}
	return r.err
}
