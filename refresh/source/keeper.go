package source

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"brs-exec/refresh"
)

// login is an entry of a cache of logins.
type login interface {
	comparable                // a pointer: its zero value is none
	id() string               // tells what it gives from what another gives
	refreshToken() string     // what a newer one is had with
	lives(now time.Time) bool // says whether what it gives can still be used
	secrets() []string
	format() []byte
}

// keeper renews an entry of a cache of logins, which the AWS CLI and all SDKs share.
// These lock nothing; processes of ours take turns, and whoever comes second finds what
// the first one wrote.
type keeper[T login] struct {
	src   *Source
	kind  string // in the lock's name
	what  string // of the session, for people
	gives string // what is renewed, for people
	hint  string // how a person begins another session
	parse func([]byte) (T, error)

	kept T      // what was had last, and could not be written; else none
	from string // the refresh token that the cache had then
}

// read gives the entry at path, or the one that had to be kept here.
func (k *keeper[T]) read(path string) (t T, err error) {
	t, err = k.load(path)
	switch {
	case errors.Is(err, errNoToken):
		return t, refresh.Permanentf(k.hint, "%s has ended, or was never begun", k.what)
	case err != nil:
		return t, refresh.Permanentf(k.hint, "the cache of %s cannot be read: %v", k.what, err)
	}
	return t, nil
}

func (k *keeper[T]) load(path string) (t T, err error) {
	var none T
	t, err = readEntry(path, k.parse)
	switch {
	case err != nil:
	case k.kept != none && t.refreshToken() == k.from:
		return k.kept, nil
	default:
		k.kept = none
	}
	return t, err
}

// renew has create make a newer entry of t, and writes it to the cache, as the AWS CLI
// does. refused is asked for the error if the server's answer to that is a no.
func (k *keeper[T]) renew(ctx context.Context, path string, t T, create func(context.Context, T) (T, error), refused func(T, error, reply) error) (none T, err error) {
	lock, err := k.src.vars().dirs().lockToken(ctx, k.kind, path)
	if err != nil {
		return none, err
	}
	if lock != nil {
		defer lock.Close()
	}
	replaced := func(by T) bool { return by.id() != t.id() && by.lives(now()) }
	again, err := k.read(path)
	if err != nil {
		return none, err
	}
	if replaced(again) {
		return again, nil
	}
	t = again
	newer, err := create(ctx, t)
	again, unread := k.load(path)
	a, answered := answerOf(err)
	switch no := answered && refusal400(a); {
	case unread == nil && replaced(again) && (err == nil || no):
		return again, nil // by a person's login, or by a process that takes no turns: not to be overwritten
	case no:
		return none, &withheld{refused(t, err, a), t.secrets()}
	case err != nil:
		return none, err
	case errors.Is(unread, errNoToken):
		return k.read(path) // logged out in the meantime
	}
	k.kept = none
	if err := k.write(path, newer); err != nil {
		if old, e := readEntry(path, k.parse); e == nil {
			k.kept, k.from = newer, old.refreshToken()
		}
		k.src.note("the renewed %s cannot be written to the cache, and serves this process alone: %v", k.gives, err)
	}
	return newer, nil
}

func (k *keeper[T]) write(path string, t T) error {
	if k.src.spec.limits.readOnly {
		return fs.ErrPermission
	}
	return k.src.vars().dirs().writeEntry(path, t.format())
}
