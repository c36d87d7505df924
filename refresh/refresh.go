// Package refresh keeps AWS credentials fresh: it decides when each profile is
// retrieved anew, and delivers that to whatever the command reads.
//
// Data goes one way:
//
//	Profile.Source ─► Engine ─► Delivery (files, sockets; all of them)
//	                    │
//	                    └─────► Options.Notify (Event: logs, hooks, signals)
//
// One goroutine, that of [Engine.Run], owns the schedule: a heap with one wake-up
// time for each profile, and one timer. Only calls that can be slow leave it:
// Retrieve, at most Options.Workers at once, and Deliver, one at a time for each
// delivery, so that neither a dead network nor a full disk holds up anyone else. No
// goroutine stands for a profile. Where nothing can be slow [Engine.Start] makes the first round
// without goroutines, before Run.
// The package does no I/O of its own and knows nothing of flags, files or
// processes.
//
// # Time
//
// Deadlines are moments on the wall clock, because that is what an expiry is,
// but nothing sleeps longer than 30 seconds on the monotonic clock, so a suspend
// or a clock that was set is noticed within that time. Where the source knows
// the server's clock (see [Skewer]) lifetimes and deadlines are measured on it, and
// deliveries get an Expires translated to the local clock, which is what the
// clients on this machine compare with. If the wall clock jumps forward, time is
// taken to have passed (a suspended machine and a clock set ahead look the
// same, and retrieving early is the harmless mistake); if it is set back, the
// credentials that are held keep what remained of their lifetime and are delivered
// again with the new Expires, and the engine retrieves from the sources within a minute. What can't be seen is a suspend and
// a correction of the clock that hide each other within the same 30 seconds.
//
// # Failure
//
// Once the first credentials of as many profiles as Options.Require were delivered nothing
// stops the engine but its context: the last good ones stay delivered, and the engine
// retries for ever, with backoff. A source or a delivery that panics is treated as one
// that failed, since the command's work is worth more than a stack trace; one that
// ignores its context is given up on (see [Engine.Run]).
package refresh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Profile is a name with credentials to be kept fresh.
type Profile struct {
	// Name is the key of the credentials in Delivery.Deliver, and must be unique.
	Name string

	// Source is to retrieve new credentials each time; it must not answer from a cache
	// that would rather keep the old ones (as aws.CredentialsCache does), or they
	// will be replaced later than the policy wants. Calls of Retrieve do not
	// overlap. It may also be a [Skewer], an [Issuer], a [Lifetimer], an [Identifier] and
	// a [Watcher].
	//
	// Credentials with CanExpire false, or with the zero Expires, do not expire: they
	// are retrieved again about once an hour, so that replaced keys are picked up.
	Source aws.CredentialsProvider `json:"-"` // it may hold secrets
}

// String returns the name alone, because a Source may hold secrets.
func (p Profile) String() string { return p.Name }

// GoString is String, for %#v.
func (p Profile) GoString() string { return p.Name }

// LogValue is String, for slog.
func (p Profile) LogValue() slog.Value { return slog.StringValue(p.Name) }

// Skewer is a Source that compares clocks.
type Skewer interface {
	// Skew returns how far the local clock was ahead of the server's at the last
	// response, 0 if that is not known. It is called after each Retrieve, also a
	// failed one.
	Skew() time.Duration
}

// Issuer is a Source that can tell credentials that were issued for us from those that
// others have had before, and that may be about to be replaced.
type Issuer interface {
	// Issued reports whether the last credentials were issued at the call of Retrieve. It
	// is called after each Retrieve that succeeded.
	Issued() bool
}

// Lifetimer is a Source that may give credentials that have had a part of their lifetime,
// because another process has retrieved them, and that knows the whole of it.
type Lifetimer interface {
	// Lifetime returns the time from issue to expiry of the last credentials, 0 if it is
	// what remains of it. It is called after each Retrieve that succeeded.
	Lifetime() time.Duration
}

// Identifier is a Source that knows whose credentials it gives.
type Identifier interface {
	// Identity returns the ARN of the assumed role of the last credentials,
	// "arn:aws:sts::123456789012:assumed-role/ROLE/SESSION", and the session's name, each ""
	// if it is not known. It is called after each Retrieve, also a failed one.
	Identity() (arn, session string)
}

// Delivery is one way in which the command gets the credentials.
type Delivery interface {
	// Deliver is called with the credentials that are new since the last call that
	// returned nil, by profile name; a burst of refreshes is one call. It returns
	// nil only when the command can read all of them. After an error the same
	// credentials, or newer ones, come again. The map is the callee's to keep. Calls do not
	// overlap. Expires is in terms of the local clock.
	//
	// A profile that [Engine.Set] has removed comes once, as its name with the zero
	// aws.Credentials: what was delivered of it is to be taken away.
	Deliver(ctx context.Context, creds map[string]aws.Credentials) error
}

// Error is what a Source returns when it knows more than the text.
type Error struct {
	Err error

	// Permanent says that no retry helps until a person does something: access
	// denied, an MFA or SSO session that has expired, a wrong configuration. It ends
	// the start-up at once if Options.Require can't be met without this profile; else it
	// makes retries slower.
	Permanent bool

	// Hint is one line that says what to type or to look at next, "" for none.
	Hint string

	// RequestID is AWS's id of the request that failed, "" if there is none.
	RequestID string
}

// Error returns the text of Err.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// HintOf returns the hint of an [Error], "" if err has none.
func HintOf(err error) string {
	var known *Error
	if errors.As(err, &known) {
		return known.Hint
	}
	return ""
}

// Permanentf returns an Error that no retry cures, with the text that [fmt.Errorf]
// makes of format and args.
func Permanentf(hint, format string, args ...any) *Error {
	return &Error{Err: fmt.Errorf(format, args...), Permanent: true, Hint: hint}
}

// Options say what an Engine does.
type Options struct {
	// Profiles are kept fresh from Run on; at least one. See also [Engine.Set].
	Profiles []Profile

	// Require is how many of them must be delivered until Ready; 0 means all, as does more
	// than there are.
	Require int

	// Deliveries each get all credentials.
	Deliveries []Delivery

	// Policy says when; the zero value is the default policy.
	Policy Policy

	// Workers limits how many calls of Retrieve run at the same time. 0 means 8.
	Workers int

	// MinTTL is what must remain of the lifetime of the first credentials of each
	// profile; with less they are retrieved again until StartTimeout. If the source is
	// an [Issuer] and has just issued them, no others would last longer, and that is a
	// permanent error. After the start any are taken. 0 means none.
	MinTTL time.Duration

	// StartTimeout limits how long it may take until the first credentials are retrieved
	// and delivered, and so each call of a source until then: give more where a
	// person has to type something. It counts anew when a worker is free for another
	// profile, so that many have the time that they need. 0 means 30 seconds.
	StartTimeout time.Duration

	// RetrieveTimeout limits each call of a source, so that a network that
	// swallows everything does not keep a worker. 0 means 70 seconds.
	RetrieveTimeout time.Duration

	// Notify, if not nil, is called for each Event in order, from the goroutine
	// of Run: it must not block.
	Notify func(Event)

	// testOnlyNow reads the wall clock in place of time.Now: a synctest bubble
	// has no means to move the wall clock against the monotonic one.
	testOnlyNow func() time.Time

	// testOnlyRand is used in place of rand.Float64.
	testOnlyRand func() float64
}
