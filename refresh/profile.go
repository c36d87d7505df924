package refresh

import (
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// profile is what the schedule knows of a Profile.
type profile struct {
	Profile
	index int

	at  time.Time // when it wants attention, its key in the heap
	pos int       // its place there

	due    time.Time // when to ask next
	asking bool      // it is being asked, or in the queue for it
	asked  *question // that has not returned although its time is over; touched by the asking goroutine only

	answered time.Time   // when it last was
	hinted   atomic.Bool // of a change that the loop has not seen yet; touched by any goroutine
	again    bool        // there was a change while it was being asked

	given   aws.Credentials // the last good set, as the source gave it
	current *version        // the same for deliveries; nil before the first
	life    time.Duration   // what it had left at first, 0 if it does not expire

	failures  int  // in a row
	streak    int  // of these, those of the same class at the end
	permanent bool // that class
	loud      bool // there was a permanent one, and it was told
	lastErr   error

	skew                  time.Duration // last noted
	knowsSkew             bool          // the source has measured one at some time
	saidShort, saidStatic bool
	saidEarly             bool

	held    *version  // the oldest that any target holds; nil before all have one
	ends    time.Time // of held; zero: it has none
	endTold told      // that it is over
	endBy   time.Time // when it is told at the latest, if endTold is later
}

// told is whether an event was sent.
type told int

const (
	no    told = iota
	later      // when a question or a delivery has come to its end, or at endBy
	yes
)

// version is a set as it is delivered: Expires is local. It does not change.
type version struct {
	seq     uint64 // rises with each version
	set     uint64 // the seq of the first version of the same set
	creds   aws.Credentials
	life    time.Duration
	attempt int // failures before it was had
}

func (v *version) keyID() string { return shortKeyID(v.creds.AccessKeyID) }

// never is later than any wake-up.
var never = time.Unix(1<<40, 0)

func (p *profile) wakeup() time.Time {
	at := never
	if !p.asking {
		at = p.due
	}
	if end := p.tellEnd(); end.Before(at) {
		at = end
	}
	return at
}

// tellEnd is when the end of what is held is to be looked at.
func (p *profile) tellEnd() time.Time {
	switch {
	case p.ends.IsZero() || p.endTold == yes:
		return never
	case p.endTold == later:
		return p.endBy
	}
	return p.ends
}

// news has the end of what is held looked at again.
func (p *profile) news() {
	if p.endTold == later {
		p.endTold = no
	}
}
