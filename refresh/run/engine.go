package run

import (
	"context"
	"sync/atomic"

	"brs-exec/refresh"
)

// engine is the refresh engine of a run. Only a bug can end it once the command has
// started, and then another one takes over: the command has all the time that its
// credentials have left.
type engine struct {
	opts    refresh.Options
	first   *refresh.Engine
	current atomic.Pointer[refresh.Engine]
}

func newEngine(o refresh.Options) *engine {
	e := &engine{opts: o, first: refresh.New(o)}
	e.current.Store(e.first)
	return e
}

// ready is closed when there are credentials to start the command with.
func (e *engine) ready() <-chan struct{} { return e.first.Ready() }

// alive tells whether the engine makes progress.
func (e *engine) alive(ctx context.Context) error { return e.current.Load().Alive(ctx) }

// run runs until ctx ends, or returns why there are no credentials to start the
// command with. keep runs a part, and again when that fails.
func (e *engine) run(ctx context.Context, keep func(context.Context, Part)) (noStart error) {
	next := e.first
	keep(ctx, Part{Name: "the refreshing of credentials", Run: func(ctx context.Context) error {
		current := next
		next = refresh.New(e.opts) // each runs once
		e.current.Store(current)
		err := refresh.Protect(func() error { return current.Run(ctx) })
		select {
		case <-e.first.Ready():
			return err
		default:
			noStart = err
			return nil
		}
	}})
	return noStart
}
