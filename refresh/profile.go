package refresh

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// profile is what the schedule knows of a Profile.
type profile struct {
	name  string
	place int   // in the list
	feed  *feed // nil: the profile was removed

	at  time.Time // of its next wake-up, its key in the heap
	pos int       // its place there

	due        time.Time  // of the next retrieve call
	retrieving bool       // a retrieve call is under way, or in a queue
	queued     bool       // in a queue
	urgent     time.Time  // its key there
	turn       uint64     // when it came there
	waiting    []*request // for the next retrieve call, or for what it brings to be delivered

	spread int  // rounds in which it is still to find its phase
	early  bool // a change has it retrieved before its time
	astray bool // the call under way comes at another time than was planned

	lastRetrieve     time.Time // when the last retrieve call returned
	changedMeanwhile bool      // there was a change during a retrieve call

	received aws.Credentials // the last good credentials, as the source gave them
	current  *version        // the same for deliveries; nil before the first
	lifetime time.Duration   // what remained of it at first, 0 if they do not expire

	wanted *version   // what every sink should have: current, or what takes it away; nil: nothing yet
	has    []*version // by sink.index: the last that it took

	failures          int  // in a row
	classFailures     int  // of these, those of the same class at the end
	permanent         bool // that class
	permanentReported bool // there was a permanent one, and it was reported
	lastErr           error

	skew                          time.Duration // last noted
	knowsSkew                     bool          // the source has measured one at some time
	reportedShort, reportedStatic bool
	reportedEarly                 bool

	held          *version    // the oldest that any sink holds; nil before all have one
	heldExpiry    time.Time   // of held; zero: it does not expire
	expiredReport reportState // of that
	reportBy      time.Time   // when that is sent at the latest, if expiredReport is deferred
}

// feed is the source of a profile and the calls of it. A profile whose source was replaced
// has another; what the old one still brings does not count.
type feed struct {
	profile *profile
	source  aws.CredentialsProvider

	calls    caller[retrieveResult] // touched by the retrieving goroutine only
	watching bool                   // likewise

	changePending atomic.Bool // a change that the loop has not seen yet

	mu    sync.Mutex
	stop  func() // ends the watch of the source; nil: there is none
	ended bool   // it is of no use any more
}

// reportState is whether an Expired event was sent.
type reportState int

const (
	notReported reportState = iota
	deferred                // until a retrieve or deliver call returns, or reportBy
	reported
)

// version is credentials as they are delivered: Expires is local. It does not change.
type version struct {
	seq        uint64 // rises with each version
	generation uint64 // the seq of the first version of the same credentials
	creds      aws.Credentials
	gone       bool          // not credentials: those before are to be taken away
	lifetime   time.Duration // what remained of it when it was retrieved
	attempt    int           // failures before it was retrieved
	took       time.Duration // to retrieve it
	identity   identity
}

// identity is whose credentials they are, see Identifier.
type identity struct{ arn, session string }

// event returns an event about v.
func (v *version) event(k Kind, p *profile) Event {
	e := Event{Kind: k, Profile: p.name}
	if v != nil {
		e.KeyID, e.Expires = v.creds.AccessKeyID, v.creds.Expires
		e.Identity, e.Session = v.identity.arn, v.identity.session
	}
	return e
}

// never is later than any wake-up.
var never = time.Unix(1<<40, 0)

func (p *profile) wakeup() time.Time {
	at := never
	if !p.retrieving {
		at = p.due
	}
	if end := p.expiryDue(); end.Before(at) {
		at = end
	}
	return at
}

// expiryDue is when the expiry of what is held is to be looked at.
func (p *profile) expiryDue() time.Time {
	switch {
	case p.heldExpiry.IsZero() || p.expiredReport == reported:
		return never
	case p.expiredReport == deferred:
		return p.reportBy
	}
	return p.heldExpiry
}

// recheckExpiry has the expiry of what is held looked at again.
func (p *profile) recheckExpiry() {
	if p.expiredReport == deferred {
		p.expiredReport = notReported
	}
}
