// Package stale finds commands that hold credentials which they will not
// replace: the command read them once, newer ones were delivered since, and no client
// of the command has read these although the old ones are about to expire.
//
// # What can be known
//
// Only that some client read credentials, when, and which. Not which client: a command
// may consist of many programs. From that follows:
//
//   - No client read anything: no alarm. The command does not use AWS, or not
//     through us.
//   - A client reads again: no alarm, also if another program of the same command
//     still holds what it read once. The one hides the other.
//   - No client reads again: the program keeps the old keys, or it has exited, or it
//     needs nothing of AWS at the moment. These look the same, so an alarm
//     has an "if" in it, and comes once for the same credentials. In the last case
//     the alarm proves false when the program reads again, which is reported as well.
//
// Programs of the last two kinds would cause an alarm for all credentials that they read. But
// a client that reads newer credentials late does read them. Where that was seen the command
// is trusted from then on: after one reading that can only be that of an SDK which retrieves
// newer credentials by itself (by a delivery that tells their expiry, when no SDK was
// starting), or after two of any kind, as of a script that starts an AWS client now
// and then.
//
// # When
//
// A client of the file has had from the delivery of the newer credentials until shortly
// before the expiry of its own; the alarm is then 5 minutes before that, or a quarter
// of the lifetime. Through the other deliveries the expiry is reported early, and
// several SDKs retrieve only when that moment has come and they have a request to sign. So
// the alarm waits for half of the time between the reported expiry and the real one,
// which leaves at most a minute.
package stale

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/writer/process"
)

// A Delivery is a way by which credentials were read.
type Delivery string

// All but File tell their clients when the credentials expire.
const (
	File     Delivery = "file"     // the keys themselves
	Process  Delivery = "process"  // a credential_process
	Endpoint Delivery = "endpoint" // the container credentials endpoint
	IMDS     Delivery = "imds"     // the instance metadata service
)

// starting is how far from the start of an SDK a reading is still part of it.
const starting = 5 * time.Second

// Alarm is about credentials that a client seems to hold without replacing them.
type Alarm struct {
	Profile  string
	Delivery Delivery  // by which they were read last
	KeyID    string    // their access key id
	Read     time.Time // when they were read last; nobody has read any since
	Expires  time.Time // in the past if the newer ones came too late
}

// Options say what is watched.
type Options struct {
	// Watched tells of which profiles the credentials are watched, among what is
	// delivered. nil: of all.
	Watched func(profile string) bool
	// Reads return the last reading of a profile's credentials by each delivery. They
	// are called when newer ones are delivered and when an alarm is due, never otherwise.
	Reads map[Delivery]func(profile string) process.Read
	// Started tells when an SDK was starting last, which reads its profiles then.
	Started func() time.Time
	// KeysInProfile says that an SDK that reads its profile in the file gets keys.
	KeysInProfile bool
	// Notify is called with each alarm, and Cleared when that of a profile has proved
	// false, from the goroutine of Run. Cleared may be nil. Whoever reads the file reads
	// the keys of all profiles in it, so after one reading of it the first alarm is the
	// only one.
	Notify  func(Alarm)
	Cleared func(profile string)
}

// Watch watches the command's clients. It is a delivery as well, which is how it learns
// of newer credentials, and of profiles that are no longer kept. Its methods may be called
// from several goroutines.
type Watch struct {
	opt  Options
	wake chan struct{}

	mu       sync.Mutex
	profiles map[string]*profile
	file     time.Time // that reading of the file caused the last alarm about it
}

// profile is one whose credentials are watched.
type profile struct {
	detector
	look bool      // something has changed
	due  time.Time // when to look again, zero for never
}

// New returns a Watch that has seen nothing yet.
func New(opt Options) *Watch {
	return &Watch{opt: opt, wake: make(chan struct{}, 1), profiles: map[string]*profile{}}
}

// Deliver takes note of credentials. That clients find them is what Refreshed says. The
// zero value says that those of a profile are no longer kept.
func (w *Watch) Deliver(_ context.Context, creds map[string]aws.Credentials) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now().Round(0)
	for name, c := range creds {
		if c.AccessKeyID == "" || w.opt.Watched != nil && !w.opt.Watched(name) {
			delete(w.profiles, name)
			continue
		}
		p := w.profiles[name]
		if p == nil {
			p = &profile{}
			w.profiles[name] = p
		}
		var expires time.Time
		if c.CanExpire {
			expires = c.Expires.Round(0)
		}
		p.deliver(c.AccessKeyID, expires, now)
	}
	return nil
}

// Refreshed says that clients find the credentials of a profile that were delivered last
// by every delivery, and none finds older ones.
func (w *Watch) Refreshed(name string) {
	w.mu.Lock()
	if p := w.profiles[name]; p != nil {
		p.refreshed(time.Now().Round(0))
		p.look = true
	}
	w.mu.Unlock()
	w.wakeUp()
}

// Restarted says that the command was started, so that nothing holds what was read
// before.
func (w *Watch) Restarted() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.profiles {
		p.restarted(time.Now().Round(0))
	}
}

// Look makes Run look at all profiles again: the clock may have jumped, which no timer
// notices.
func (w *Watch) Look() {
	w.mu.Lock()
	for _, p := range w.profiles {
		p.look = true
	}
	w.mu.Unlock()
	w.wakeUp()
}

func (w *Watch) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run gives alarms until ctx ends, and then returns nil. It sleeps until credentials
// are delivered, or an alarm may be due; that is once or twice in their lifetime.
func (w *Watch) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		names, next := w.next()
		for _, name := range names {
			w.lookAt(name)
		}
		if len(names) > 0 {
			continue
		}
		if timer.Stop(); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		case <-timer.C:
		}
	}
}

// next returns the profiles to look at now, and when the first of the others is due.
func (w *Watch) next() (names []string, first time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now().Round(0)
	for name, p := range w.profiles {
		switch {
		case p.look, !p.due.IsZero() && !p.due.After(now):
			names = append(names, name)
		case !p.due.IsZero() && (first.IsZero() || p.due.Before(first)):
			first = p.due
		}
	}
	slices.Sort(names)
	return names, first
}

// lookAt looks at the readings of a profile by all deliveries. It tells whether the last
// alarm was false, gives one if it is due, and else finds out when to look again.
func (w *Watch) lookAt(name string) {
	reads := make(map[Delivery]reading, len(w.opt.Reads))
	started := w.opt.Started()
	for by, last := range w.opt.Reads {
		r := reading{Read: last(name)}
		r.start = started.Sub(r.At).Abs() <= starting
		if by == File && r.start && !w.opt.KeysInProfile {
			continue // for its profile, not for keys
		}
		reads[by] = r
	}
	alarm, cleared := w.judge(name, reads)
	if cleared && w.opt.Cleared != nil {
		w.opt.Cleared(name)
	}
	if alarm != nil {
		w.opt.Notify(*alarm)
	}
}

func (w *Watch) judge(name string, reads map[Delivery]reading) (alarm *Alarm, cleared bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.profiles[name]
	if p == nil { // no longer kept
		return nil, false
	}
	p.look = false
	cleared = p.detector.look(reads)
	p.due = p.detector.due()
	if p.due.IsZero() || p.due.After(time.Now().Round(0)) {
		return nil, cleared
	}
	p.due = time.Time{}
	alarm = p.alarm()
	alarm.Profile = name
	if alarm.Delivery == File {
		if alarm.Read.Equal(w.file) { // another profile's alarm was about the same reading
			return nil, cleared
		}
		w.file = alarm.Read
	}
	return alarm, cleared
}
