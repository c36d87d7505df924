package logincache

import (
	"context"
	"errors"
	"time"

	"brs-exec.example/brs-exec/refresh"
)

// Entry is an entry of a cache of logins: *SSOToken or *LoginSession.
type Entry interface {
	comparable               // a pointer: its zero value is none
	id() string              // tells what it gives from what another gives
	refreshToken() string    // what a newer one is had with
	UsableAt(time.Time) bool // says whether what it gives has not expired
	format() []byte
}

// Cache renews an entry, which the AWS CLI and all SDKs share. These lock nothing;
// processes of ours take turns, and whoever comes second finds what the first one wrote.
// Its errors are *refresh.Error, or those of a create.
type Cache[T Entry] struct {
	User  User
	Kind  string // in the lock's name: "sso" or "login"
	What  string // of the session, for people
	Hint  string // how a person begins another session
	Parse func([]byte) (T, error)

	// Unwritten is told why a renewed entry could not be written: it serves this process
	// alone.
	Unwritten func(error)

	ReadOnly error // of each attempt to write, for tests; nil: they are made

	kept T      // what was had last, and could not be written; else none
	from string // the refresh token that the cache had then
}

// Read returns the entry at path, or the one that had to be kept here. Its errors are
// permanent.
func (c *Cache[T]) Read(path string) (t T, err error) {
	t, err = c.load(path)
	switch {
	case errors.Is(err, errNoEntry):
		return t, refresh.Permanentf(c.Hint, "%s has expired, or was never begun", c.What)
	case err != nil:
		return t, refresh.Permanentf(c.Hint, "the cache of %s cannot be read: %v", c.What, err)
	}
	return t, nil
}

func (c *Cache[T]) load(path string) (t T, err error) {
	var none T
	t, err = readEntry(path, c.Parse)
	switch {
	case err != nil:
	case c.kept != none && t.refreshToken() == c.from:
		return c.kept, nil
	default:
		c.kept = none
	}
	return t, err
}

// Renew has create make a newer entry of t, and writes it to the cache, as the AWS CLI
// does. create's error is permanent if it was refused for good.
func (c *Cache[T]) Renew(ctx context.Context, path string, t T, create func(context.Context, T) (T, error)) (none T, err error) {
	lock, err := c.User.LockEntry(ctx, c.Kind, path)
	if err != nil {
		return none, err
	}
	if lock != nil {
		defer lock.Close()
	}
	replaced := func(by T) bool { return by.id() != t.id() && by.UsableAt(time.Now().Round(0)) }
	again, err := c.Read(path)
	if err != nil {
		return none, err
	}
	if replaced(again) {
		return again, nil
	}
	t = again
	if err := ctx.Err(); err != nil {
		return none, err
	}
	asking, end := outlive(ctx)
	newer, err := create(asking, t)
	end()
	again, unread := c.load(path)
	var refused *refresh.Error
	no := errors.As(err, &refused) && refused.Permanent
	switch {
	case unread == nil && replaced(again) && (err == nil || no):
		return again, nil // by a person's login, or by a process that takes no turns: not to be overwritten
	case err != nil:
		return none, err
	case errors.Is(unread, errNoEntry):
		return c.Read(path) // logged out in the meantime
	}
	c.kept = none
	if err := c.write(path, newer); err != nil {
		if old, e := readEntry(path, c.Parse); e == nil {
			c.kept, c.from = newer, old.refreshToken()
		}
		c.Unwritten(err)
	}
	return newer, nil
}

// answerTime is how long a renewal goes on after the end of the run that asked for it. It
// is less than the engine waits for.
const answerTime = 4 * time.Second

// outlive returns a context that ends that much later than ctx. A server takes a refresh
// token once: if nobody takes the answer, the login is lost for all.
func outlive(ctx context.Context) (later context.Context, end func()) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-later.Done():
		case <-time.After(answerTime):
			cancel()
		}
	})
	return later, func() { stop(); cancel() }
}

func (c *Cache[T]) write(path string, t T) error {
	if c.ReadOnly != nil {
		return c.ReadOnly
	}
	return c.User.write(path, t.format())
}
