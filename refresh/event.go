package refresh

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Kind says what an Event is about.
type Kind int

const (
	// Refreshed: every delivery holds new credentials. Attempt is the number of
	// failures that came before it, so that more than 0 is a recovery.
	Refreshed Kind = iota + 1

	// Unchanged: the source gave the credentials that it gave before, which is
	// no failure. Attempt is as for Refreshed.
	Unchanged

	// Failed: the source gave no usable credentials. What was delivered stays.
	Failed

	// DeliveryFailed: a delivery did not take the credentials; Attempt counts its
	// failures in a row. Profile is "", since it is about all that are waiting.
	// The end of the trouble is the Refreshed of those profiles.
	DeliveryFailed

	// Expired: what the deliveries hold (one of them, if some failed) expired at
	// Expires, and there is nothing better: the source failed, or gave the same
	// again, or a delivery failed. Once for each set of credentials; the next Refreshed is the
	// recovery. It comes on time, whatever the source is up to: a second late if a
	// retrieve or deliver call is under way, 15 seconds after a jump of the clock.
	Expired

	// Short: credentials of this profile last for Life, less than 40 minutes, which
	// some clients can't work with (boto3 wants 15 minutes to remain, s3fs 20). Once.
	Short

	// Early: Policy.Before is more than half of Life, and half is used instead. Once.
	Early

	// Static: the credentials have no expiry, so nothing says when to refresh them. Once.
	Static

	// Skewed: the local clock is Skew ahead of the server's. Once when it is more
	// than a minute either way, and again when that changes; a Skew within a
	// minute says that the clocks agree again.
	Skewed

	// Removed: a profile is no longer in the list, and no delivery holds its credentials.
	Removed

	// ClockStep: the wall clock jumped by Step against the monotonic clock.
	// Forward: the machine was suspended, or the clock was set ahead (these can't
	// be told apart). Back: it was set back.
	ClockStep
)

var kindNames = [...]string{
	Refreshed: "refreshed", Unchanged: "unchanged", Failed: "refresh failed", DeliveryFailed: "delivery failed",
	Expired: "expired", Removed: "removed", Short: "short session", Early: "refresh time cut", Static: "no expiry", Skewed: "clock skew", ClockStep: "clock step",
}

// String returns a few words for logs, such as "refresh failed".
func (k Kind) String() string {
	if k <= 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("kind %d", int(k))
	}
	return kindNames[k]
}

// Event is something that happened. It holds no secrets, so it can be logged as
// it is; fields that do not apply to its Kind are zero. All times are local.
type Event struct {
	Kind    Kind
	Profile string
	Time    time.Time

	KeyID   string        // access key id, in full; see ShortKeyID
	Expires time.Time     // of the credentials that the event is about; for Failed, of those that are kept
	Life    time.Duration // what remained of their lifetime when they were retrieved
	Next    time.Time     // of the next retrieve call (DeliveryFailed: deliver call)
	Attempt int           // Failed, DeliveryFailed: failures in a row, with this one; else see the Kind
	Skew    time.Duration // Skewed
	Step    time.Duration // ClockStep: > 0 forward, < 0 back
	Err     error         // Failed, DeliveryFailed; see Error for what it may hold

	// Of the credentials that the event is about, if the source is an [Identifier]: the ARN
	// of the assumed role, and the name of the session. "" is not known.
	Identity, Session string

	RequestID string        // Failed: AWS's id of the request, if Err has one
	Took      time.Duration // Refreshed, Unchanged, Failed: of the retrieve call

	// Permanent: Err is an Error with Permanent set. First: it is the first such
	// since the last success, and so the one to tell a person of.
	Permanent, First bool
}

// LogValue returns the fields that are set, but not Kind, which is the message,
// and Time, which the log has.
func (e Event) LogValue() slog.Value { return slog.GroupValue(e.attrs()...) }

func (e Event) attrs() []slog.Attr {
	var as []slog.Attr
	add := func(set bool, a slog.Attr) {
		if set {
			as = append(as, a)
		}
	}
	add(e.Profile != "", slog.String("profile", e.Profile))
	add(e.KeyID != "", slog.String("key", PublicKeyID(e.KeyID)))
	add(e.Identity != "", slog.String("identity", e.Identity))
	add(e.Session != "", slog.String("session", e.Session))
	add(!e.Expires.IsZero(), slog.Time("expires", e.Expires))
	add(e.Life != 0, slog.Duration("life", e.Life))
	add(!e.Next.IsZero(), slog.Time("next", e.Next))
	add(e.Attempt != 0, slog.Int("attempt", e.Attempt))
	add(e.Skew != 0, slog.Duration("skew", e.Skew))
	add(e.Step != 0, slog.Duration("step", e.Step))
	add(e.Permanent, slog.Bool("permanent", e.Permanent))
	add(e.RequestID != "", slog.String("request-id", e.RequestID))
	if e.Err != nil {
		as = append(as, slog.String("err", e.Err.Error()))
	}
	return as
}

// PublicKeyID is an access key id as it may be told: in full if it looks like one of AWS's,
// by which CloudTrail finds it, else as [ShortKeyID]. It may be a secret key that somebody
// has put in the wrong place.
func PublicKeyID(id string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if len(id) < 16 || len(id) > 128 || strings.Trim(id, letters) != "" {
		return ShortKeyID(id)
	}
	return id
}

// ShortKeyID keeps the parts of an access key id that tell keys apart: ASIA…last4. Ids that
// are too short to be AWS's (20 characters) may be anything, so less is kept.
func ShortKeyID(id string) string {
	switch {
	case len(id) >= 16:
		return id[:4] + "…" + id[len(id)-4:]
	case len(id) >= 6:
		return "…" + id[len(id)-2:]
	}
	return "…"
}
