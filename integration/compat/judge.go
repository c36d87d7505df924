//go:build linux

package main

import (
	"fmt"
	"slices"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// expirations is how many sets must end under a client that survives.
const expirations = 3

// harmless are error codes that answer a call with good credentials: clients
// look whether an object is there.
var harmless = []string{"NoSuchKey", "InvalidRange"}

// log is what the server knows of one run.
type log struct {
	calls     []fakeaws.Call                       // the client's alone, oldest first
	expiry    func(keyID string) (time.Time, bool) // of any set
	bootstrap string                               // the key id that brs-exec started from, which no client may use
}

func refused(c fakeaws.Call) bool { return !c.Accepted && !slices.Contains(harmless, c.Code) }

// judge fills in what the server's log tells. How the client ended is for the
// cases in which the log alone does not.
func (l log) judge(r *result, ended string) {
	sets := map[string]bool{}
	var first, lastGood time.Time
	var refusal fakeaws.Call
	for _, c := range l.calls {
		if first.IsZero() {
			first = c.Time
		}
		r.Calls++
		if refused(c) {
			if r.Refused++; r.Refused == 1 {
				refusal = c
			}
			continue
		}
		lastGood = c.Time
		sets[c.KeyID] = true
	}
	r.Sets = len(sets)
	if r.Calls > 0 {
		r.Watched = l.calls[len(l.calls)-1].Time.Sub(first).Round(time.Second)
	}
	for id := range sets {
		if end, ok := l.expiry(id); ok && !end.IsZero() && end.Before(lastGood) {
			r.Ended++
		}
	}
	switch {
	case r.Calls == 0 && signs(r.Delivery): // it has keys, and reached nobody
		r.Outcome, r.Reason = failed, ended
	case r.Calls == 0:
		r.Outcome, r.Reason = nothing, ended
	case sets[l.bootstrap]:
		r.Outcome, r.Reason = failed, "used the keys that brs-exec started from"
	case r.Refused == r.Calls && refusal.KeyID == "":
		r.Outcome, r.Reason = nothing, "sent its requests unsigned"
	case r.Refused > 0:
		r.Outcome, r.Reason = failed, l.why(r, refusal, first, lastGood)
	case r.Ended < expirations:
		r.Outcome, r.Reason = failed, fmt.Sprintf("only %d sets ended while it made calls", r.Ended)
		if ended != "" {
			r.Reason = ended
		}
	default:
		r.Outcome = survived
	}
}

// why tells a client that never takes new credentials from one that takes them
// too late.
func (l log) why(r *result, refusal fakeaws.Call, first, lastGood time.Time) string {
	after := refusal.Time.Sub(first).Round(time.Second)
	switch {
	case lastGood.After(refusal.Time):
		text := fmt.Sprintf("%s for %d of %d calls, first after %v; each time it went on with newer credentials", refusal.Code, r.Refused, r.Calls, after)
		if r.Reported == 0 && !r.Once {
			text += ", and reported no failure"
		}
		return text
	case r.Sets == 1:
		return fmt.Sprintf("%s after %v: it never asked for newer credentials", refusal.Code, after)
	case r.Sets == 0 && signs(r.Delivery):
		return fmt.Sprintf("%s from its first call on: it sent its calls past brs-exec", refusal.Code)
	case r.Sets == 0:
		return fmt.Sprintf("%s from its first call on (%s)", refusal.Code, refusal.Reason)
	}
	return fmt.Sprintf("%s after %v and %d sets", refusal.Code, after, r.Sets)
}
