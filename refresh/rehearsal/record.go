package rehearsal

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Record is what happened in a rehearsal. Its methods may be called from several goroutines.
type Record struct {
	mu       sync.Mutex
	began    time.Time
	profiles []*profile
	others   int
}

// profile is one whose credentials the command was given.
type profile struct {
	Profile
	newest   string               // access key id
	expiries map[string]time.Time // by access key id
	used     map[string]bool      // likewise
	expiry   time.Time            // of the first used credentials to expire
	accepted time.Time            // when the last accepted call was made
	refused  time.Time            // when the last call with expired credentials was made
}

// Result is what a rehearsal has shown.
type Result struct {
	Ran      time.Duration // since the command was started
	Profiles []Profile     // in the order of their first delivery
	Others   int           // requests that were not signed with any of these credentials
	Verdict  Verdict
}

// Refused reports whether a call was refused because its credentials had expired, while newer
// ones were there.
func (r Result) Refused() bool { return r.Verdict >= Recovered }

// Profile is what a rehearsal has shown of one profile. Times are since the start of the command.
type Profile struct {
	Name      string
	Delivered int // credentials that were delivered
	Used      int // credentials that a call was made with
	Calls     int

	Expired     int           // calls that were refused because newer credentials had been there, and these had expired
	First, Last time.Duration // of these
	Late        int           // calls that were refused because newer credentials came too late
	Code        string        // of the last other refusal by brs-exec
	Refused     int           // calls that were refused so
	After       int           // accepted calls since the first of the used credentials expired

	Read    []Read // how the credentials were read last, by each delivery
	Verdict Verdict
}

// Read is the last time that something read credentials in one way.
type Read struct {
	By string // process, endpoint, …
	At time.Duration
}

// Verdict is what a rehearsal says of the command. Of several profiles the greatest one counts.
type Verdict int

const (
	NoCall    Verdict = iota // no call was seen
	Survives                 // calls were accepted after an expiry, and none was refused
	Short                    // there was no call after an expiry
	TooLate                  // newer credentials came too late: it says nothing of the command
	Recovered                // calls were refused, later ones were not
	Fails                    // calls were refused
)

// Started says when the command was started. Only the first start counts.
func (r *Record) Started(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.began.IsZero() {
		r.began = at
	}
}

func (r *Record) profile(name string) *profile {
	i := slices.IndexFunc(r.profiles, func(p *profile) bool { return p.Name == name })
	if i >= 0 {
		return r.profiles[i]
	}
	p := &profile{Profile: Profile{Name: name}, expiries: map[string]time.Time{}, used: map[string]bool{}}
	r.profiles = append(r.profiles, p)
	return p
}

// Delivered says that the command finds new credentials of a profile.
func (r *Record) Delivered(name, keyID string, expires time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.profile(name)
	if _, again := p.expiries[keyID]; !again {
		p.Delivered++
	}
	p.newest, p.expiries[keyID] = keyID, expires
}

// Called says that the command made a request, signed with the key id, "" if it is none of
// ours. refused is the code with which brs-exec refused it, "" if it did not.
func (r *Record) Called(at time.Time, name, keyID, refused string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if name == "" || keyID == "" {
		r.others++
		return
	}
	p := r.profile(name)
	p.Calls++
	p.use(keyID)
	switch {
	case refused == "":
		if !p.expiry.IsZero() && !at.Before(p.expiry) {
			p.After++
		}
		if at.After(p.accepted) {
			p.accepted = at
		}
	case !strings.HasPrefix(refused, "Expired"):
		p.Code = refused
		p.Refused++
	case keyID == p.newest:
		p.Late++
	default:
		since := at.Sub(r.began)
		if p.Expired == 0 || since < p.First {
			p.First = max(since, 0)
		}
		p.Last = max(p.Last, since)
		p.Expired++
		if at.After(p.refused) {
			p.refused = at
		}
	}
}

// use takes note that a call was made with credentials.
func (p *profile) use(keyID string) {
	if !p.used[keyID] {
		p.used[keyID] = true
		p.Used++
	}
	if expires := p.expiries[keyID]; !expires.IsZero() && (p.expiry.IsZero() || expires.Before(p.expiry)) {
		p.expiry = expires
	}
}

// Read says when credentials were read last by a delivery.
func (r *Record) Read(name, by string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.profile(name)
	p.Profile.Read = append(p.Profile.Read, Read{By: by, At: max(at.Sub(r.began), 0)})
}

// Result is what was shown until now, in the end.
func (r *Record) Result(now time.Time) Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	result := Result{Others: r.others}
	if !r.began.IsZero() {
		result.Ran = now.Sub(r.began)
	}
	for _, p := range r.profiles {
		p.Verdict = p.verdict()
		result.Profiles = append(result.Profiles, p.Profile)
		result.Verdict = max(result.Verdict, p.Verdict)
	}
	return result
}

func (p *profile) verdict() Verdict {
	switch {
	case p.Calls == 0:
		return NoCall
	case p.Expired > 0 && p.accepted.After(p.refused):
		return Recovered
	case p.Expired > 0:
		return Fails
	case p.Late > 0:
		return TooLate
	case p.After == 0:
		return Short
	}
	return Survives
}
