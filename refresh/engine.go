package refresh

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Engine keeps the credentials of its profiles fresh. Make one with New.
type Engine struct {
	opts  Options
	ready chan struct{}
}

// New returns an engine that does nothing until Run.
func New(o Options) *Engine {
	return &Engine{opts: o, ready: make(chan struct{})}
}

// Ready returns a channel that is closed once every delivery holds a set of
// every profile with at least MinTTL left.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// Run gets and delivers the first sets and blocks until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	sets := make(map[string]aws.Credentials)
	for _, p := range e.opts.Profiles {
		c, err := p.Source.Retrieve(ctx)
		if err != nil {
			return fmt.Errorf("profile %q: %w", p.Name, err)
		}
		sets[p.Name] = c
	}
	for _, d := range e.opts.Deliveries {
		if err := d.Deliver(ctx, sets); err != nil {
			return fmt.Errorf("deliver credentials: %w", err)
		}
	}
	close(e.ready)
	<-ctx.Done()
	return nil
}
