package refresh

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Set makes profiles the list from now on. It returns at once, and may be called from any
// goroutine, before Run as well. A profile with the Name and the same Source value as
// before is undisturbed. One with another Source keeps what was delivered until the new one
// gives other credentials. One that is new is retrieved now. One that is missing is
// removed: each delivery gets its name with the zero aws.Credentials, and once all have taken
// that there is an Event Removed. An error means that the list is not a valid one, and that
// the one before stays in force.
func (e *Engine) Set(profiles []Profile) error {
	if err := checkList(profiles); err != nil {
		return err
	}
	e.mu.Lock()
	e.profiles = slices.Clone(profiles)
	e.mu.Unlock()
	select {
	case e.list <- struct{}{}:
	default:
	}
	return nil
}

func (e *Engine) wantedProfiles() []Profile {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.profiles
}

func checkList(list []Profile) error {
	names := make(map[string]bool, len(list))
	for _, p := range list {
		if p.Source == nil || names[p.Name] {
			return fmt.Errorf("internal error: profile %q: no source, or the name is not unique", p.Name)
		}
		names[p.Name] = true
	}
	return nil
}

// set makes list the list of profiles.
func (s *schedule) set(list []Profile) {
	before := s.profiles
	s.profiles = make([]*profile, 0, len(list))
	stay := make(map[*profile]bool, len(list))
	var ended []*feed
	for _, l := range list {
		p := s.byName[l.Name]
		switch {
		case p == nil:
			p = &profile{name: l.Name, has: make([]*version, len(s.sinks))}
			s.byName[l.Name] = p
			s.open(p, l.Source)
		case p.feed == nil: // it was removed, but not everywhere yet
			s.open(p, l.Source)
		case !sameSource(p.feed.source, l.Source):
			ended = append(ended, p.feed)
			s.open(p, l.Source)
		}
		stay[p], p.place = true, len(s.profiles)
		s.profiles = append(s.profiles, p)
	}
	for _, p := range before {
		if !stay[p] {
			ended = append(ended, p.feed)
			s.remove(p)
		}
	}
	gone := func(p *profile) bool { return !stay[p] }
	s.queue, s.retries = s.queue.without(gone), s.retries.without(gone)
	s.wakeups = newWakeups(s.profiles)
	if len(ended) > 0 {
		s.endFeeds(ended)
	}
	s.checkReady()
}

// open gives p a source, of which nothing is known yet. What is held of the profile stays.
func (s *schedule) open(p *profile, source aws.CredentialsProvider) {
	p.feed = &feed{profile: p, source: source}
	p.due, p.early, p.changedMeanwhile = s.wall, true, false
	p.retrieving = p.queued // a call that is under way does not count
	p.received = aws.Credentials{}
	p.skew, p.knowsSkew = 0, false
	p.reportedShort, p.reportedStatic, p.reportedEarly = false, false, false
	p.recovered()
}

// remove has what was delivered of p taken away.
func (s *schedule) remove(p *profile) {
	s.seq++
	p.feed, p.current, p.held, p.heldExpiry = nil, nil, nil, time.Time{}
	p.retrieving, p.queued = false, false
	p.wanted = &version{seq: s.seq, gone: true}
	s.resolve(p, requested, errRemoved)
	s.markBehind(p, 0)
	s.noteGone(p)
}

var errRemoved = errors.New("removed from the list")

// noteGone forgets p once no sink holds credentials of it.
func (s *schedule) noteGone(p *profile) {
	for _, v := range p.has {
		if v != p.wanted {
			return
		}
	}
	delete(s.byName, p.name)
	s.notify(Event{Kind: Removed, Profile: p.name})
}

// sameSource compares, and does not panic for sources that can't be.
func sameSource(a, b aws.CredentialsProvider) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && a == b
}
