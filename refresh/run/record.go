package run

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
	"brs-exec/refresh/source"
	"brs-exec/supervisor"
)

// Record is what `brs-exec status` tells of one run. It holds no secret.
type Record struct {
	PID     int       `json:"pid"`
	Command string    `json:"command,omitempty"` // its name: arguments may be secrets
	Child   int       `json:"child,omitempty"`   // its pid
	Since   time.Time `json:"since,omitzero"`    // when it was started
	Starts  int       `json:"starts,omitempty"`
	Source  string    `json:"source,omitempty"`

	Key       string    `json:"key,omitempty"`    // access key id of the credentials that are delivered, shortened
	Expires   time.Time `json:"expires,omitzero"` // zero: never, as far as the source says
	Next      time.Time `json:"next,omitzero"`    // when the source is tried again
	Refreshed int       `json:"refreshed"`        // deliveries after the first
	Failed    int       `json:"failed"`           // failures since the last success
	Err       string    `json:"error,omitempty"`  // the last of these
	Permanent bool      `json:"permanent,omitempty"`
	Stale     int       `json:"stale"` // how often no client had read newer credentials in time

	LivesOn      string    `json:"livesOn,omitempty"` // what expires: a login, a certificate
	SourceExpiry time.Time `json:"ends,omitzero"`     // and when that expires
}

// recordAfter is how long a command has to run before a record is written: a short
// command would only lose time by it.
const recordAfter = time.Second

// recorder keeps the record of this run where Runs finds it.
type recorder struct {
	write func(text []byte) error
	mu    sync.Mutex // guards r
	r     Record
	dirty chan struct{} // has one when r is not what was written
}

func newRecorder(command, source string, write func(text []byte) error) *recorder {
	return &recorder{
		write: write, dirty: make(chan struct{}, 1),
		r: Record{PID: os.Getpid(), Command: filepath.Base(command), Source: source},
	}
}

// change changes the record in memory alone: its callers must not wait for a disk.
func (k *recorder) change(f func(r *Record)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.r
	if f(&k.r); k.r == before {
		return
	}
	select {
	case k.dirty <- struct{}{}:
	default:
	}
}

// run writes the record when it has changed. A failure is not logged: the credentials
// are written to the same directory, and a failure of that is logged.
func (k *recorder) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(recordAfter):
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.dirty:
		}
		k.mu.Lock()
		text, err := json.Marshal(k.r)
		k.mu.Unlock()
		if err != nil {
			return err
		}
		_ = k.write(append(text, '\n'))
	}
}

func (k *recorder) part(describe func() string) Part {
	return Part{
		Name: "the status record",
		Run:  k.run,
		Engine: func(e refresh.Event, first bool) {
			if e.Kind == refresh.Refreshed { // by one of several sources
				k.change(func(r *Record) { r.Source = describe() })
			}
			k.engine(e, first)
		},
		Child: k.child,
	}
}

// engine follows an event of the engine.
func (k *recorder) engine(e refresh.Event, first bool) {
	k.change(func(r *Record) {
		switch e.Kind {
		case refresh.Refreshed, refresh.Unchanged:
			r.Failed, r.Err, r.Permanent = 0, "", false
			r.Next = e.Next
			if e.Kind == refresh.Unchanged {
				return
			}
			r.Key, r.Expires = refresh.ShortKeyID(e.KeyID), e.Expires
			if !first {
				r.Refreshed++
			}
		case refresh.Failed:
			r.Failed, r.Err, r.Permanent, r.Next = e.Attempt, plan.OneLine(e.Err.Error()), e.Permanent, e.Next
		case refresh.DeliveryFailed:
			r.Failed, r.Err = e.Attempt, plan.OneLine(e.Err.Error())
		}
	})
}

// child follows an event of the command.
func (k *recorder) child(e supervisor.Event, _ bool) {
	k.change(func(r *Record) {
		switch e.Kind {
		case supervisor.Started:
			r.Child, r.Since, r.Starts = e.PID, time.Now().Round(0), r.Starts+1
		case supervisor.Ended:
			r.Child = 0
		}
	})
}

// sourceExpiry follows what is known of the expiry of the source.
func (k *recorder) sourceExpiry(_ string, end source.Expiry, known bool) {
	if !known {
		end = source.Expiry{}
	}
	k.change(func(r *Record) { r.LivesOn, r.SourceExpiry = plan.OneLine(end.What), end.At })
}

func (k *recorder) stale() { k.change(func(r *Record) { r.Stale++ }) }
