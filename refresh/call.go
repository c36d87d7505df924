package refresh

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// caller calls foreign code, one call at a time, each in a goroutine of its own, so that it
// can be given up on.
type caller[T any] struct {
	hung chan T // gets the result of the call that was given up on; nil: there is none
}

// do calls f with a context that ends after limit, and returns what f does. If f has not
// returned by a grace after the end of its context it is given up on, and do returns false:
// now, and without another call of f each time until that one has returned. Then that
// one's result is returned.
func (c *caller[T]) do(ctx context.Context, limit, grace time.Duration, f func(context.Context) T) (result T, returned bool) {
	done := c.hung
	if done == nil {
		done = make(chan T, 1)
		ctx, cancel := context.WithTimeout(ctx, limit)
		go func() {
			defer cancel()
			done <- f(ctx)
		}()
		<-ctx.Done()
		select {
		case result = <-done:
			return result, true
		case <-time.After(grace):
		}
	}
	select { // both may have come
	case result = <-done:
		c.hung = nil
		return result, true
	default:
		c.hung = done
		return result, false
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
