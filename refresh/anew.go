package refresh

import "context"

type anewKey struct{}

// Anew returns a context for a Retrieve that somebody has asked for: what other processes
// have retrieved before does not do.
func Anew(ctx context.Context) context.Context { return context.WithValue(ctx, anewKey{}, true) }

// IsAnew tells whether ctx is of Anew.
func IsAnew(ctx context.Context) bool { return ctx.Value(anewKey{}) != nil }
