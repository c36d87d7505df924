package endpoint

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/writer/process"
)

// timestamp is how AWS writes an instant: UTC, whole seconds. botocore parses metadata timestamps with exactly this form.
const timestamp = "2006-01-02T15:04:05Z"

const (
	// staticLife is the end that a set without one is given at each answer: botocore and the JavaScript SDK refuse a document
	// without Expiration, and an hour is how often a set that a person replaced should be looked for.
	staticLife = time.Hour
	// leastLeft is what an early end must have left to be told: the reader looks at it a little later than we do, and several
	// SDKs refuse a document that has expired by then.
	leastLeft = time.Second
)

// window is when a set is reported to end: early to everybody who asks in time, then as it really does.
type window struct {
	early, end time.Time // UTC; zero for a set that never ends
}

// newWindow shares the rule for early with the other channel, so that both tell one child the same.
func newWindow(c aws.Credentials, now time.Time) window {
	if !c.CanExpire {
		return window{}
	}
	return window{early: process.Set{Delivered: now, Expires: c.Expires}.Early().UTC(), end: c.Expires.Round(0).UTC()}
}

// reported returns what to write into Expiration, in whole seconds and always later than now, or false for a set that is
// dead. The wall clock decides, because that is what the reader will compare with.
func (w window) reported(now time.Time) (time.Time, bool) {
	now = now.Round(0).UTC()
	if w.end.IsZero() {
		return now.Add(staticLife).Truncate(time.Second), true
	}
	if !now.Before(w.end) {
		return time.Time{}, false
	}
	report := w.early.Truncate(time.Second)
	if report.Sub(now) < leastLeft {
		report = w.end.Truncate(time.Second)
	}
	if !report.After(now) { // the last second: up rather than into the past
		report = report.Add(time.Second)
	}
	return report, true
}
