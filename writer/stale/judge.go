package stale

import (
	"slices"
	"time"

	"brs-exec/writer/process"
)

const (
	// maxLead is how long before the expiry a client of the file is called late.
	// Those that read again at fixed times do so every 5 or 15 minutes.
	maxLead = 5 * time.Minute

	// kept is how many credentials are remembered. A client can only just have got
	// the last but one.
	kept = 4

	// A command whose returns weigh so much is trusted: it gives no alarm any more.
	enough       = 2
	askedAgain   = 2 // by an SDK of its own accord
	startedAgain = 1 // perhaps by a program that has just been started
)

// delivered are credentials as they were delivered.
type delivered struct {
	number   int
	keyID    string
	at       time.Time
	expiry   process.Window
	replaced time.Time // when no client got them any more; zero if they still do
	alarmed  bool
}

// A reading is the last one by some delivery.
type reading struct {
	process.Read
	start bool // an SDK was starting then
}

// judge decides. It is pure: time and readings are arguments.
type judge struct {
	latest []*delivered // the oldest first
	count  int

	since time.Time  // readings before are not of this command
	held  *delivered // the newest that was read; nil: none was
	reads map[Delivery]reading
	trust int
}

func (j *judge) deliver(keyID string, expires, now time.Time) {
	d := j.find(keyID)
	if d == nil {
		j.count++
		d = &delivered{number: j.count, keyID: keyID}
		j.latest = append(j.latest, d)
		if n := len(j.latest); n > kept {
			j.latest = slices.Clone(j.latest[n-kept:])
		}
	}
	// The same credentials come again when the clock was set and their expiry is another.
	d.at, d.expiry = now, process.NewWindow(now, expires)
}

func (j *judge) refreshed(now time.Time) {
	for _, d := range append(j.latest[:len(j.latest):len(j.latest)], j.held) {
		if d != nil && d.number < j.count && d.replaced.IsZero() {
			d.replaced = now
		}
	}
}

func (j *judge) restarted(now time.Time) {
	j.since, j.held, j.reads, j.trust = now, nil, nil, 0
}

func (j *judge) find(keyID string) *delivered {
	for i := len(j.latest) - 1; i >= 0; i-- {
		if j.latest[i].keyID == keyID {
			return j.latest[i]
		}
	}
	if j.held != nil && j.held.keyID == keyID {
		return j.held
	}
	return nil
}

// look takes the last reading by each delivery. It tells whether an alarm that was
// given has proved false: who held those credentials has asked for newer ones.
func (j *judge) look(reads map[Delivery]reading) (cleared bool) {
	j.reads = map[Delivery]reading{}
	newest := j.held
	for by, r := range reads {
		d := j.find(r.KeyID)
		if d == nil || r.At.Before(j.since) {
			continue
		}
		j.reads[by] = r
		if newest == nil || d.number > newest.number {
			newest = d
		}
	}
	if newest == j.held {
		return false
	}
	if j.held != nil {
		weight := j.returned(newest)
		j.trust += weight
		cleared = j.held.alarmed && weight == askedAgain
	}
	j.held = newest
	return cleared
}

// returned weighs the reading of newer credentials.
func (j *judge) returned(d *delivered) int {
	weight := startedAgain
	for by, r := range j.reads {
		if r.KeyID == d.keyID && by != File && !r.start {
			weight = askedAgain
		}
	}
	return weight
}

// due returns when an alarm is due if nobody comes, zero if none is.
func (j *judge) due() (at time.Time) {
	d := j.held
	if d == nil || d.alarmed || d.expiry.End.IsZero() || d.replaced.IsZero() || j.trust >= enough {
		return time.Time{}
	}
	for by, r := range j.reads {
		if r.KeyID == d.keyID {
			at = later(at, d.due(by, r.At))
		}
	}
	return at
}

// due returns when a client is late that got the credentials by that way, then.
func (d *delivered) due(by Delivery, at time.Time) time.Time {
	if by == File {
		lead := min(maxLead, d.expiry.End.Sub(d.at)/4)
		wait := lead // for it to come back at all
		if left := d.expiry.End.Sub(d.replaced); left > 0 {
			wait = min(wait, left/2)
		}
		return later(d.expiry.End.Add(-lead), d.replaced.Add(wait))
	}
	told, ok := d.expiry.Reported(at)
	if !ok {
		told = d.expiry.End
	}
	return later(told, d.replaced).Add(d.expiry.End.Sub(d.expiry.Early) / 2)
}

// alarm is the one that is due, which is no more due after that.
func (j *judge) alarm() *Alarm {
	d := j.held
	d.alarmed = true
	a := &Alarm{KeyID: d.keyID, Expires: d.expiry.End}
	for by, r := range j.reads {
		if r.KeyID == d.keyID && (a.Read.IsZero() || r.At.After(a.Read)) {
			a.Delivery, a.Read = by, r.At
		}
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
