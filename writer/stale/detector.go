package stale

import (
	"slices"
	"time"

	"brs-exec.example/brs-exec/writer/process"
)

const (
	// maxLead is how long before the expiry a client of the file is called late.
	// Those that read again at fixed times do so every 5 or 15 minutes.
	maxLead = 5 * time.Minute

	// remembered is how many of the delivered credentials are known here. A client can only
	// just have got the last but one.
	remembered = 4

	// Each time that the command reads newer credentials weighs 1 or 2. One whose weights add
	// up to enough is trusted: it causes no alarm any more.
	enough         = 2
	retrievedAgain = 2 // an SDK did it of its own accord
	startedAgain   = 1 // perhaps a program did it that had just been started
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

// detector decides when an alarm is due. It is pure: time and readings are arguments.
type detector struct {
	latest []*delivered // the oldest first
	count  int

	since time.Time  // readings before are not of this command
	held  *delivered // the newest that was read; nil: none was
	reads map[Delivery]reading
	trust int // what the readings of newer credentials weigh together
}

func (s *detector) deliver(keyID string, expires, now time.Time) {
	d := s.find(keyID)
	if d == nil {
		s.count++
		d = &delivered{number: s.count, keyID: keyID}
		s.latest = append(s.latest, d)
		if n := len(s.latest); n > remembered {
			s.latest = slices.Clone(s.latest[n-remembered:])
		}
	}
	// The same credentials come again when the clock was set and their expiry is another.
	d.at, d.expiry = now, process.NewWindow(now, expires)
}

func (s *detector) refreshed(now time.Time) {
	for _, d := range append(s.latest[:len(s.latest):len(s.latest)], s.held) {
		if d != nil && d.number < s.count && d.replaced.IsZero() {
			d.replaced = now
		}
	}
}

func (s *detector) restarted(now time.Time) {
	s.since, s.held, s.reads, s.trust = now, nil, nil, 0
}

func (s *detector) find(keyID string) *delivered {
	for i := len(s.latest) - 1; i >= 0; i-- {
		if s.latest[i].keyID == keyID {
			return s.latest[i]
		}
	}
	if s.held != nil && s.held.keyID == keyID {
		return s.held
	}
	return nil
}

// look takes the last reading by each delivery. It reports whether an alarm that was
// given has proved false: the client that held those credentials has retrieved newer ones.
func (s *detector) look(reads map[Delivery]reading) (cleared bool) {
	s.reads = map[Delivery]reading{}
	newest := s.held
	for by, r := range reads {
		d := s.find(r.KeyID)
		if d == nil || r.At.Before(s.since) {
			continue
		}
		s.reads[by] = r
		if newest == nil || d.number > newest.number {
			newest = d
		}
	}
	if newest == s.held {
		return false
	}
	if s.held != nil {
		weight := s.returned(newest)
		s.trust += weight
		cleared = s.held.alarmed && weight == retrievedAgain
	}
	s.held = newest
	return cleared
}

// returned weighs the reading of newer credentials.
func (s *detector) returned(d *delivered) int {
	weight := startedAgain
	for by, r := range s.reads {
		if r.KeyID == d.keyID && by != File && !r.start {
			weight = retrievedAgain
		}
	}
	return weight
}

// due returns when an alarm is due if nobody reads newer credentials, zero if none is.
func (s *detector) due() (at time.Time) {
	d := s.held
	if d == nil || d.alarmed || d.expiry.End.IsZero() || d.replaced.IsZero() || s.trust >= enough {
		return time.Time{}
	}
	for by, r := range s.reads {
		if r.KeyID == d.keyID {
			at = later(at, d.due(by, r.At))
		}
	}
	return at
}

// due returns when a client is late that read the credentials by that delivery at that time.
func (d *delivered) due(by Delivery, at time.Time) time.Time {
	if by == File {
		lead := min(maxLead, d.expiry.End.Sub(d.at)/4)
		wait := lead // for the client to read the file again at all
		if left := d.expiry.End.Sub(d.replaced); left > 0 {
			wait = min(wait, left/2)
		}
		return later(d.expiry.End.Add(-lead), d.replaced.Add(wait))
	}
	reported, ok := d.expiry.Reported(at)
	if !ok {
		reported = d.expiry.End
	}
	return later(reported, d.replaced).Add(d.expiry.End.Sub(d.expiry.Early) / 2)
}

// alarm returns the alarm that is due, and marks it as given.
func (s *detector) alarm() *Alarm {
	d := s.held
	d.alarmed = true
	a := &Alarm{KeyID: d.keyID, Expires: d.expiry.End}
	for by, r := range s.reads {
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
