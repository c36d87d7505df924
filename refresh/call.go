package refresh

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// call is a call of foreign code in a goroutine of its own, so that it can be
// given up on.
type call struct {
	over <-chan struct{} // its context has ended
	done chan struct{}   // it has returned
	err  error           // set before done is closed
}

// start runs f with a context that ends after limit.
func start(ctx context.Context, limit time.Duration, f func(context.Context) error) *call {
	ctx, cancel := context.WithTimeout(ctx, limit)
	c := &call{over: ctx.Done(), done: make(chan struct{})}
	go func() {
		defer cancel()
		defer close(c.done)
		c.err = Protect(func() error { return f(ctx) })
	}()
	return c
}

// wait reports whether the call has returned, at the latest grace after the end
// of its context.
func (c *call) wait(grace time.Duration) bool {
	select {
	case <-c.done:
		return true
	case <-c.over:
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-c.done:
	case <-t.C:
	}
	select { // both may have come
	case <-c.done:
		return true
	default:
		return false
	}
}

// Protect turns a panic of f into a permanent error, which says where. A bug in
// one part must not end the process, which would leave the command without credentials.
func Protect(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Error{Err: panicError(v), Permanent: true, Hint: "this is a bug, please report it"}
		}
	}()
	return f()
}

// panicError says where, and why only if the text is the runtime's own, since
// another value may hold anything, secrets too.
func panicError(v any) error {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	where := "unknown"
	for more, panicking := true, false; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if f.Function == "runtime.gopanic" {
			panicking = true
		} else if panicking && !strings.HasPrefix(f.Function, "runtime.") {
			where = fmt.Sprintf("%s:%d", f.Function, f.Line)
			break
		}
	}
	if e, ok := v.(runtime.Error); ok {
		return fmt.Errorf("internal error: panic in %s: %w", where, e)
	}
	return fmt.Errorf("internal error: panic in %s: %T", where, v)
}
