package stale

import (
	"time"

	"brs-exec/writer/process"
)

const (
	// maxLead is how long before the end of a set a reader of the file is called
	// late. Those that read again at fixed times do so every 5 or 15 minutes.
	maxLead = 5 * time.Minute

	// kept is how many sets are remembered. A reader can only just have got the
	// last but one.
	kept = 4

	// Of a command whose returns make up enough no alarm is given any more.
	enough       = 2
	askedAgain   = 2 // by an SDK of its own accord
	startedAgain = 1 // perhaps by a program that has just been started
)

// set is a set as it was delivered.
type set struct {
	number    int
	keyID     string
	delivered time.Time
	expiry    process.Window
	replaced  time.Time // when no reader got it any more; zero if they still do
	told      bool
}

// judge decides. It is pure: time and readings are arguments.
type judge struct {
	sets  []*set // those delivered last, the oldest first
	count int

	since time.Time // readings before are not of this command
	held  *set      // the newest that was read; nil: none was
	reads map[Channel]Read
	trust int
}

func (j *judge) deliver(keyID string, ends, now time.Time) {
	s := j.find(keyID)
	if s == nil {
		j.count++
		s = &set{number: j.count, keyID: keyID}
		j.sets = append(j.sets, s)
		if n := len(j.sets); n > kept {
			j.sets = append([]*set(nil), j.sets[n-kept:]...)
		}
	}
	// The same credentials come again when the clock was set and their expiry is another.
	s.delivered, s.expiry = now, process.NewWindow(now, ends)
}

func (j *judge) refreshed(now time.Time) {
	for _, s := range append(j.sets[:len(j.sets):len(j.sets)], j.held) {
		if s != nil && s.number < j.count && s.replaced.IsZero() {
			s.replaced = now
		}
	}
}

func (j *judge) restarted(now time.Time) {
	j.since, j.held, j.reads, j.trust = now, nil, nil, 0
}

func (j *judge) find(keyID string) *set {
	for i := len(j.sets) - 1; i >= 0; i-- {
		if j.sets[i].keyID == keyID {
			return j.sets[i]
		}
	}
	if j.held != nil && j.held.keyID == keyID {
		return j.held
	}
	return nil
}

// look takes the last reading of each channel. It tells whether an alarm that was
// given has proved false: who held that set has asked for a newer one.
func (j *judge) look(reads map[Channel]Read) (cleared bool) {
	j.reads = map[Channel]Read{}
	newest := j.held
	for channel, r := range reads {
		s := j.find(r.KeyID)
		if s == nil || r.At.Before(j.since) {
			continue
		}
		j.reads[channel] = r
		if newest == nil || s.number > newest.number {
			newest = s
		}
	}
	if newest == j.held {
		return false
	}
	if j.held != nil {
		weight := j.returned(newest)
		j.trust += weight
		cleared = j.held.told && weight == askedAgain
	}
	j.held = newest
	return cleared
}

// returned weighs the reading of a newer set.
func (j *judge) returned(s *set) int {
	weight := startedAgain
	for channel, r := range j.reads {
		if r.KeyID == s.keyID && channel != File && !r.Start {
			weight = askedAgain
		}
	}
	return weight
}

// due returns when an alarm is due if nobody comes, zero if none is.
func (j *judge) due() (at time.Time) {
	s := j.held
	if s == nil || s.told || s.expiry.End.IsZero() || s.replaced.IsZero() || j.trust >= enough {
		return time.Time{}
	}
	for channel, r := range j.reads {
		if r.KeyID == s.keyID {
			at = later(at, s.due(channel, r.At))
		}
	}
	return at
}

// due returns when a reader by channel that got the set at that time is late.
func (s *set) due(channel Channel, at time.Time) time.Time {
	if channel == File {
		lead := min(maxLead, s.expiry.End.Sub(s.delivered)/4)
		wait := lead // for it to come back at all
		if left := s.expiry.End.Sub(s.replaced); left > 0 {
			wait = min(wait, left/2)
		}
		return later(s.expiry.End.Add(-lead), s.replaced.Add(wait))
	}
	told, ok := s.expiry.Reported(at)
	if !ok {
		told = s.expiry.End
	}
	return later(told, s.replaced).Add(s.expiry.End.Sub(s.expiry.Early) / 2)
}

// alarm is the one that is due, which is no more due after that.
func (j *judge) alarm() *Alarm {
	s := j.held
	s.told = true
	a := &Alarm{KeyID: s.keyID, Ends: s.expiry.End}
	for channel, r := range j.reads {
		if r.KeyID == s.keyID && (a.Read.IsZero() || r.At.After(a.Read)) {
			a.Channel, a.Read = channel, r.At
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
