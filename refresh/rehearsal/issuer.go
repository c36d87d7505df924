// Package rehearsal is what a rehearsal of a command has besides a run: an [Issuer], which
// gives the command local credentials that expire soon, and a [Record] of what the command
// did with them, with a verdict. It does no I/O.
package rehearsal

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
)

// Issuer is the source of the local credentials. They are issued as long as there are real
// ones to sign with: its methods are told what becomes of these. They may be called from
// several goroutines.
type Issuer struct {
	issue func(profile string) aws.Credentials

	mu      sync.Mutex
	changed chan struct{} // closed at each change
	ready   bool
	ended   error
	of      map[string]state // by profile
}

// state is that of the real credentials of a profile.
type state struct {
	held bool
	err  error // of the last attempt, if none are held
}

// NewIssuer returns an Issuer. issue returns new local credentials of a profile.
func NewIssuer(issue func(profile string) aws.Credentials) *Issuer {
	return &Issuer{issue: issue, changed: make(chan struct{}), of: map[string]state{}}
}

func (i *Issuer) change(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f()
	close(i.changed)
	i.changed = make(chan struct{})
}

// Event follows an event of the engine that keeps the real credentials.
func (i *Issuer) Event(e refresh.Event) {
	switch e.Kind {
	case refresh.Refreshed:
		i.change(func() { i.of[e.Profile] = state{held: true} })
	case refresh.Failed:
		i.change(func() {
			if !i.of[e.Profile].held { // else the ones before still sign
				i.of[e.Profile] = state{err: e.Err}
			}
		})
	}
}

// Ready says that there are as many real credentials as the command needs to start.
func (i *Issuer) Ready() { i.change(func() { i.ready = true }) }

// End says that there will be none, and why.
func (i *Issuer) End(err error) { i.change(func() { i.ended = err }) }

// Source is that of the local credentials of a profile.
func (i *Issuer) Source(profile string) aws.CredentialsProvider { return local{i, profile} }

type local struct {
	*Issuer
	profile string
}

// Issued says that no other process has had the credentials.
func (l local) Issued() bool { return true }

// Retrieve waits for real credentials, or returns why there are none.
func (l local) Retrieve(ctx context.Context) (aws.Credentials, error) {
	for {
		l.mu.Lock()
		ready, ended, of, changed := l.ready, l.ended, l.of[l.profile], l.changed
		l.mu.Unlock()
		switch {
		case ended != nil:
			return aws.Credentials{}, &refresh.Error{Err: ended, Permanent: true, Hint: refresh.HintOf(ended)}
		case ready && of.held:
			return l.issue(l.profile), nil
		case ready && of.err != nil:
			return aws.Credentials{}, of.err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return aws.Credentials{}, ctx.Err()
		}
	}
}
