// Package stale finds commands that hold credentials which they will not
// replace: they read a set once, newer ones were delivered since, and nobody came
// back for these although what was read is about to end.
//
// # What can be known
//
// Only that somebody read something, when, and which set that was. Not who: a
// command may consist of many programs. From that follows what can be told and
// what cannot.
//
//   - Nobody read anything: no alarm. The command does not use AWS, or not
//     through us.
//   - Somebody reads again: no alarm, also if another program of the same command
//     still holds what it read once. The one hides the other.
//   - Nobody reads again: the program keeps the old keys, or it has ended, or it
//     has nothing to ask AWS for at the moment. These look the same, so an alarm
//     has an "if" in it, and comes once for each set. Of the last kind it proves
//     false when the program asks again, which is told as well.
//
// Programs of the last two kinds would alarm for every set that they read. But
// what comes back late does come back. Where that was seen the command is
// trusted from then on: after one return that can only be of an SDK that asks for
// a newer set by itself (it came through a channel that refreshes, and no SDK was
// starting at the time), or after two of any kind, as of a script that starts an
// AWS client now and then.
//
// # When
//
// A reader of the file has had from the delivery of the newer set until shortly
// before the end of its own; the alarm is then 5 minutes before that end, or a
// quarter of the set's life. Through the other channels a set is reported to end
// early, and several SDKs ask only when that moment has come and they have a
// request to sign. So the alarm waits for half of the time between the reported
// end and the real one, which leaves at most a minute.
package stale

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Channel is a way by which a set was read.
type Channel string

// The channels. All but File tell their readers when a set ends.
const (
	File     Channel = "file"     // the keys themselves
	Process  Channel = "process"  // a credential_process
	Endpoint Channel = "endpoint" // the container credentials endpoint
	IMDS     Channel = "imds"     // the instance metadata service
)

// Read is the last reading through a channel. The zero value says that there was
// none.
type Read struct {
	KeyID string    // access key id of the set that was read
	At    time.Time // when
	Start bool      // an SDK was starting then
}

// Alarm is about a set that is held by somebody, as it seems, and not replaced.
type Alarm struct {
	Channel Channel   // by which it was read last
	KeyID   string    // access key id of the set that was read
	Read    time.Time // when it was read last; nobody has read any set since
	Ends    time.Time // when the set ends; in the past if the newer one came too late
}

// Options say what is watched.
type Options struct {
	// Set is the name of the set among those that are delivered.
	Set string
	// Reads tell of the last reading through each channel. They are asked when a
	// newer set is delivered and when an alarm is due, never otherwise.
	Reads map[Channel]func() Read
	// Notify is told of each alarm, and Cleared when one has proved false, from
	// the goroutine of Run. Cleared may be nil.
	Notify  func(Alarm)
	Cleared func()
}

// Watch watches readers. It is a delivery as well, which is how it learns of
// newer sets. Its methods may be called from several goroutines.
type Watch struct {
	opt  Options
	wake chan struct{}

	mu    sync.Mutex
	judge judge
}

// New returns a Watch that has seen nothing yet.
func New(opt Options) *Watch {
	return &Watch{opt: opt, wake: make(chan struct{}, 1)}
}

// Deliver takes note of a set. That readers find it is what Refreshed says.
func (w *Watch) Deliver(_ context.Context, sets map[string]aws.Credentials) error {
	c, ok := sets[w.opt.Set]
	if !ok {
		return nil
	}
	var ends time.Time
	if c.CanExpire {
		ends = c.Expires.Round(0)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judge.deliver(c.AccessKeyID, ends, time.Now().Round(0))
	return nil
}

// Refreshed says that readers find the set that was delivered last by every
// channel, and none finds an older one.
func (w *Watch) Refreshed() {
	w.mu.Lock()
	w.judge.refreshed(time.Now().Round(0))
	w.mu.Unlock()
	w.Look()
}

// Restarted says that the command was started, so that what was read before is
// held by nobody.
func (w *Watch) Restarted() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judge.restarted(time.Now().Round(0))
}

// Look makes Run look again: the clock may have jumped, which no timer notices.
func (w *Watch) Look() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run gives alarms until ctx ends, and then returns nil. It sleeps until a set is
// delivered, or an alarm may be due; that is once or twice in the life of a set.
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

// look asks all channels, and returns whether the last alarm was false, an alarm
// if there is one, and else when to look again.
func (w *Watch) look() (alarm *Alarm, cleared bool, due time.Time) {
	reads := make(map[Channel]Read, len(w.opt.Reads))
	for channel, last := range w.opt.Reads {
		reads[channel] = last()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	cleared = w.judge.look(reads)
	due = w.judge.due()
	if due.IsZero() || due.After(time.Now().Round(0)) {
		return nil, cleared, due
	}
	return w.judge.alarm(), cleared, time.Time{}
}
