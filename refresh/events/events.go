// Package events writes what happens in a run as lines of JSON, for programs: to a
// file, an open descriptor, or a socket. docs/events.md and docs/events.schema.json say
// what is in a line.
//
// Nobody waits for a line to be written: what cannot be written now is kept, up to a
// thousand lines, and what is more is dropped, and counted in a line of its own. There is
// no secret in a line.
package events

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/supervisor"
)

// version is that of the lines: it changes when a program that reads them would have to.
const version = 1

// A line is one event. What does not apply to it is left out.
type line struct {
	V     int    `json:"v"`
	Time  string `json:"time"` // RFC 3339, UTC, milliseconds
	Event string `json:"event"`
	Run   string `json:"run"` // its name
	PID   int    `json:"pid"` // of brs-exec

	Profile  string `json:"profile,omitempty"`
	Key      string `json:"key,omitempty"` // access key id
	Identity string `json:"identity,omitempty"`
	Session  string `json:"session,omitempty"`
	Expires  string `json:"expires,omitempty"`
	Next     string `json:"next,omitempty"`
	TookMS   int64  `json:"took_ms,omitempty"`

	Attempt   int    `json:"attempt,omitempty"`
	Error     string `json:"error,omitempty"`
	Hint      string `json:"hint,omitempty"`
	Permanent bool   `json:"permanent,omitempty"`
	RequestID string `json:"request_id,omitempty"`

	Delivery string `json:"delivery,omitempty"` // stale: by which the credentials were read
	Read     string `json:"read,omitempty"`     // stale: when
	What     string `json:"what,omitempty"`     // source-ending: a login, a certificate

	Child    int    `json:"child,omitempty"` // its pid
	Code     *int   `json:"code,omitempty"`
	Signal   string `json:"signal,omitempty"`
	Again    bool   `json:"again,omitempty"`
	AfterMS  int64  `json:"after_ms,omitempty"`
	StepMS   int64  `json:"step_ms,omitempty"`
	Duration *int64 `json:"duration_ms,omitempty"`

	Refreshes *int `json:"refreshes,omitempty"`
	Failures  *int `json:"failures,omitempty"`
	Dropped   int  `json:"dropped,omitempty"`

	Service   string `json:"service,omitempty"` // of a request: its signing name
	Region    string `json:"region,omitempty"`
	Operation string `json:"operation,omitempty"`
	Host      string `json:"host,omitempty"`
	Method    string `json:"method,omitempty"`
	Via       string `json:"via,omitempty"`    // the way to brs-exec: proxy or endpoint
	Status    int    `json:"status,omitempty"` // of HTTP
	Sent      *int64 `json:"sent_bytes,omitempty"`
	Received  *int64 `json:"received_bytes,omitempty"`
	Refused   string `json:"refused,omitempty"` // by brs-exec: AWS's code
}

const (
	maxKept   = 1000        // lines
	reserved  = 100         // of these, those that requests do not take: there may be thousands a second
	endTime   = time.Second // for the last lines, to who does not read
	firstWait = time.Second // after a failure; then twice that
	lastWait  = 30 * time.Second
)

// Options say where the lines go.
type Options struct {
	To     Target
	Run    string          // its name
	Notify func(err error) // called with why lines cannot be written, once, and with nil when they can again
}

// Events writes the lines of a run. Its methods may be called from several goroutines,
// and never wait, but for Run and Close.
type Events struct {
	run    string
	pid    int
	sink   sink
	notify func(error)
	more   chan struct{} // has one when there are lines

	mu        sync.Mutex // guards the following
	kept      [][]byte
	dropped   int
	obtained  map[string]bool // profiles that had credentials
	started   bool
	refreshes int
	failures  int
	since     time.Time // since when a write is under way; zero: none is

	begun   time.Time
	writing sync.Mutex // one goroutine writes
	failed  bool       // the last time; of who writes
}

// sink is where lines go. write returns how many of the bytes have gone, of whole
// lines; what has not comes again. It may block.
type sink interface {
	write(lines []byte) (n int, err error)
	close()
}

// Open opens the target, as far as that can be done: nobody may listen at a socket yet.
func Open(o Options) (*Events, error) {
	s, err := o.To.open()
	if err != nil {
		return nil, err
	}
	return open(s, o), nil
}

func open(s sink, o Options) *Events {
	e := &Events{
		run: o.Run, pid: os.Getpid(), sink: s, notify: o.Notify, more: make(chan struct{}, 1),
		obtained: map[string]bool{}, begun: time.Now(),
	}
	if e.notify == nil {
		e.notify = func(error) {}
	}
	return e
}

// add takes a line. e.mu is not held.
func (e *Events) add(l line) { e.addUpTo(maxKept, l) }

// addUpTo takes a line, unless so many are kept already.
func (e *Events) addUpTo(most int, l line) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.kept) >= most {
		e.dropped++
		return
	}
	if e.dropped > 0 {
		e.kept = append(e.kept, e.encode(line{Event: "dropped", Dropped: e.dropped}))
		e.dropped = 0
	}
	e.kept = append(e.kept, e.encode(l))
	e.wake()
}

func (e *Events) encode(l line) []byte {
	l.V, l.Run, l.PID = version, e.run, e.pid
	if l.Time == "" {
		l.Time = stamp(time.Now())
	}
	text, _ := json.Marshal(l) // strings and numbers always encode
	return append(text, '\n')
}

// stamp is a moment as in the lines, "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// Engine follows an event of the engine.
func (e *Events) Engine(ev refresh.Event) {
	l := line{
		Time: stamp(ev.Time), Profile: ev.Profile, Identity: ev.Identity, Session: ev.Session,
		Expires: stamp(ev.Expires), Next: stamp(ev.Next), TookMS: ev.Took.Milliseconds(), Attempt: ev.Attempt, RequestID: ev.RequestID,
	}
	if ev.KeyID != "" {
		l.Key = refresh.PublicKeyID(ev.KeyID)
	}
	switch ev.Kind {
	case refresh.Refreshed:
		l.Event = "refreshed"
		e.mu.Lock()
		if !e.obtained[ev.Profile] {
			e.obtained[ev.Profile], l.Event = true, "obtained"
		} else {
			e.refreshes++
		}
		e.mu.Unlock()
	case refresh.Unchanged:
		if ev.Attempt == 0 {
			return // each minute, and nothing has happened
		}
		l.Event = "unchanged"
	case refresh.Failed, refresh.DeliveryFailed:
		l.Event = "failed"
		if ev.Kind == refresh.DeliveryFailed {
			l.Event = "delivery-failed"
		}
		l.why(ev)
		e.mu.Lock()
		e.failures++
		e.mu.Unlock()
	case refresh.Expired:
		l.Event = "expired"
	case refresh.Removed:
		l.Event = "removed"
		e.mu.Lock()
		delete(e.obtained, ev.Profile)
		e.mu.Unlock()
	case refresh.ClockStep:
		l.Event, l.StepMS = "clock-step", ev.Step.Milliseconds()
	default:
		return
	}
	e.add(l)
}

// why says why something has failed.
func (l *line) why(ev refresh.Event) {
	l.Error, l.Permanent, l.Hint = oneLine(ev.Err.Error()), ev.Permanent, oneLine(refresh.HintOf(ev.Err))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Child follows an event of the command.
func (e *Events) Child(ev supervisor.Event) {
	if ev.PID == 0 { // there is none: it is keep
		return
	}
	l := line{Child: ev.PID}
	switch ev.Kind {
	case supervisor.Started:
		e.mu.Lock()
		l.Event = "started"
		if e.started {
			l.Event = "restarted"
		}
		e.started = true
		e.mu.Unlock()
	case supervisor.Ended:
		l.Event, l.Again, l.AfterMS = "exited", ev.Again, ev.After.Milliseconds()
		l.exit(ev.Exit.Code, ev.Exit)
	default:
		return
	}
	e.add(l)
}

func (l *line) exit(code int, exit supervisor.Exit) {
	l.Code = &code
	if exit.Signal != 0 {
		l.Signal = supervisor.SignalName(exit.Signal)
	}
}

// Stale says that a client seems to hold credentials that it does not replace.
func (e *Events) Stale(profile, delivery, key string, read, expires time.Time) {
	e.add(line{Event: "stale", Profile: profile, Delivery: delivery, Key: refresh.PublicKeyID(key), Read: stamp(read), Expires: stamp(expires)})
}

// NotStale says that the last of these has read newer ones after all.
func (e *Events) NotStale(profile string) { e.add(line{Event: "not-stale", Profile: profile}) }

// SourceEnding says that the source itself is about to expire.
func (e *Events) SourceEnding(profile, what, hint string, at time.Time) {
	e.add(line{Event: "source-ending", Profile: profile, What: oneLine(what), Hint: oneLine(hint), Expires: stamp(at)})
}

// Request is a request of the command that has come to the listener of --deliver sign.
type Request struct {
	Time      time.Time     // when it came
	Took      time.Duration // until the whole answer was passed on
	Via       string        // "proxy" or "endpoint"
	Profile   string        // whose credentials it was signed with; "" if it was passed on as it was
	Service   string        // the signing name; "" if it was not signed
	Region    string
	Operation string // "" if it cannot be told
	Host      string
	Method    string
	Status    int    // of HTTP; 0: there was no answer
	Sent      int64  // bytes of the request's body
	Received  int64  // bytes of the answer's body
	Refused   string // AWS's code, if brs-exec has refused it
}

// Request says that the command has made a request. Its path and its query are not told:
// they may be anything.
func (e *Events) Request(r Request) {
	e.addUpTo(maxKept-reserved, line{
		Event: "request", Time: stamp(r.Time), TookMS: r.Took.Milliseconds(), Via: r.Via, Profile: r.Profile, Service: oneLine(r.Service), Region: oneLine(r.Region),
		Operation: oneLine(r.Operation), Host: oneLine(r.Host), Method: oneLine(r.Method), Status: r.Status, Sent: &r.Sent, Received: &r.Received, Refused: r.Refused,
	})
}

// End says how the run has ended: what brs-exec exits with, and why if it is an error of
// its own.
func (e *Events) End(code int, exit supervisor.Exit, err error) {
	took := time.Since(e.begun).Milliseconds()
	l := line{Event: "end", Duration: &took}
	l.exit(code, exit)
	if err != nil {
		l.Error = oneLine(err.Error())
	}
	e.mu.Lock()
	refreshes, failures := e.refreshes, e.failures
	e.mu.Unlock()
	l.Refreshes, l.Failures = &refreshes, &failures
	e.add(l)
}

// Run writes lines until ctx ends; the rest is for Close.
func (e *Events) Run(ctx context.Context) error {
	for wait := firstWait; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-e.more:
		}
		written := make(chan bool, 1) // a write may block longer than ctx lasts
		go func() { written <- e.tryFlush() }()
		select {
		case <-ctx.Done():
			return nil
		case ok := <-written:
			if ok {
				wait = firstWait
				continue
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, lastWait)
		e.wake()
	}
}

func (e *Events) wake() {
	select {
	case e.more <- struct{}{}:
	default:
	}
}

// Close writes what is left, for a second at most, in which a write that is under way for
// long has been: who has stopped reading is not waited for.
func (e *Events) Close() {
	limit := time.After(e.patience())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.tryFlush()
		e.writing.Lock()
		defer e.writing.Unlock()
		e.sink.close()
	}()
	select {
	case <-done:
	case <-limit:
	}
}

// patience is how long the last lines may take.
func (e *Events) patience() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.since.IsZero() {
		return endTime
	}
	return max(endTime-time.Since(e.since), 0)
}

// tryFlush is flush, and false if that panics: nobody waits for it who could take that.
func (e *Events) tryFlush() (ok bool) {
	refresh.Protect(func() error { ok = e.flush(); return nil })
	return ok
}

// flush writes all lines that there are, and tells whether that was possible. A line is
// kept until it has been written.
func (e *Events) flush() bool {
	e.writing.Lock()
	defer e.writing.Unlock()
	for {
		lines := e.begin()
		if len(lines) == 0 {
			if e.failed {
				e.failed = false
				e.notify(nil)
			}
			return true
		}
		n, err := e.sink.write(lines)
		e.written(n)
		if err != nil {
			if !e.failed {
				e.failed = true
				e.notify(err)
			}
			return false
		}
	}
}

// batch is how many bytes are written at once: what a pipe takes in one piece, so
// that lines of others are not put in between.
const batch = 4096

// begin returns the first of the lines, for a write that begins now.
func (e *Events) begin() (lines []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.kept) == 0 && e.dropped > 0 {
		e.kept, e.dropped = append(e.kept, e.encode(line{Event: "dropped", Dropped: e.dropped})), 0
	}
	for i, l := range e.kept {
		if i > 0 && len(lines)+len(l) > batch {
			break
		}
		lines = append(lines, l...)
	}
	if lines != nil {
		e.since = time.Now()
	}
	return lines
}

// written says that a write has ended, and how many bytes have gone.
func (e *Events) written(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.since = time.Time{}
	for len(e.kept) > 0 && n >= len(e.kept[0]) {
		n -= len(e.kept[0])
		e.kept = e.kept[1:]
	}
}
