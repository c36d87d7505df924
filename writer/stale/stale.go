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
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/writer/process"
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
	Delivery Delivery  // by which they were read last
	KeyID    string    // their access key id
	Read     time.Time // when they were read last; nobody has read any since
	Expires  time.Time // in the past if the newer ones came too late
}

// Options say what is watched.
type Options struct {
	// Credentials is the name of those that are watched, among what is delivered.
	Credentials string
	// Reads return the last reading by each delivery. They are called when newer
	// credentials are delivered and when an alarm is due, never otherwise.
	Reads map[Delivery]func() process.Read
	// Started tells when an SDK was starting last, which reads its profiles then.
	Started func() time.Time
	// KeysInProfile says that an SDK that reads its profile in the file gets keys.
	KeysInProfile bool
	// Notify is called with each alarm, and Cleared when one has proved false, from
	// the goroutine of Run. Cleared may be nil.
	Notify  func(Alarm)
	Cleared func()
}

// Watch watches the command's clients. It is a delivery as well, which is how it learns
// of newer credentials. Its methods may be called from several goroutines.
type Watch struct {
	opt  Options
	wake chan struct{}

	mu       sync.Mutex
	detector detector
}

// New returns a Watch that has seen nothing yet.
func New(opt Options) *Watch {
	return &Watch{opt: opt, wake: make(chan struct{}, 1)}
}

// Deliver takes note of credentials. That clients find them is what Refreshed says.
func (w *Watch) Deliver(_ context.Context, creds map[string]aws.Credentials) error {
	c, ok := creds[w.opt.Credentials]
	if !ok {
		return nil
	}
	var expires time.Time
	if c.CanExpire {
		expires = c.Expires.Round(0)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.detector.deliver(c.AccessKeyID, expires, time.Now().Round(0))
	return nil
}

// Refreshed says that clients find the credentials that were delivered last by every
// delivery, and none finds older ones.
func (w *Watch) Refreshed() {
	w.mu.Lock()
	w.detector.refreshed(time.Now().Round(0))
	w.mu.Unlock()
	w.Look()
}

// Restarted says that the command was started, so that nothing holds what was read
// before.
func (w *Watch) Restarted() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.detector.restarted(time.Now().Round(0))
}

// Look makes Run look again: the clock may have jumped, which no timer notices.
func (w *Watch) Look() {
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
		alarm, cleared, due := w.look()
		if cleared && w.opt.Cleared != nil {
			w.opt.Cleared()
		}
		if alarm != nil {
			w.opt.Notify(*alarm)
		}
		if timer.Stop(); !due.IsZero() {
			timer.Reset(time.Until(due))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		case <-timer.C:
		}
	}
}

// look looks at the readings of all deliveries, and returns whether the last alarm was
// false, an alarm if there is one, and else when to look again.
func (w *Watch) look() (alarm *Alarm, cleared bool, due time.Time) {
	reads := make(map[Delivery]reading, len(w.opt.Reads))
	started := w.opt.Started()
	for by, last := range w.opt.Reads {
		r := reading{Read: last()}
		r.start = started.Sub(r.At).Abs() <= starting
		if by == File && r.start && !w.opt.KeysInProfile {
			continue // for its profile, not for keys
		}
		reads[by] = r
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	cleared = w.detector.look(reads)
	due = w.detector.due()
	if due.IsZero() || due.After(time.Now().Round(0)) {
		return nil, cleared, due
	}
	return w.detector.alarm(), cleared, time.Time{}
}
