package process

import "time"

const (
	// maxEarly is the most by which the reported expiry precedes the real one.
	// Go v1, Go v2 and C++ retrieve new credentials only when the reported expiry
	// has come, so a request signed just before it would arrive with expired ones.
	maxEarly = 120 * time.Second

	// grace is the least that must remain until the reported expiry: several SDKs
	// (botocore, JS, .NET, PHP) refuse an answer that has expired when they look at
	// it, which is some milliseconds after it was given.
	grace = time.Second
)

// A Window is the expiry window of credentials: the expiry that is reported to
// clients that retrieve in time, and the real one. Both are zero for credentials that never
// expire.
type Window struct{ Early, End time.Time }

// NewWindow returns the window of credentials that were delivered then: it begins
// min(120 s, a tenth of their lifetime) before they expire. Zero for expires means never.
func NewWindow(delivered, expires time.Time) Window {
	if expires.IsZero() {
		return Window{}
	}
	lifetime := expires.Sub(delivered)
	return Window{Early: expires.Add(-min(maxEarly, max(0, lifetime/10))), End: expires.Round(0)}
}

// Reported returns the expiry to report to a client that retrieves at now: in UTC, whole
// seconds and always later than now; zero if the credentials never expire. ok is false
// if they have expired. The wall clock decides, because that is what the client will
// compare with.
func (w Window) Reported(now time.Time) (expiry time.Time, ok bool) {
	now = now.Round(0)
	switch {
	case w.End.IsZero():
		return time.Time{}, true
	case !now.Before(w.End):
		return time.Time{}, false
	}
	expiry = w.Early.UTC().Truncate(time.Second)
	if expiry.Sub(now) < grace {
		expiry = w.End.UTC().Truncate(time.Second)
	}
	if !expiry.After(now) { // the last second: up rather than into the past
		expiry = expiry.Add(time.Second)
	}
	return expiry, true
}
