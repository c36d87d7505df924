package fakeaws

import (
	"net/http"
	"slices"
	"time"
)

// Kind is a way in which the server can fail.
type Kind int

const (
	// Throttle answers that the caller asks too often.
	Throttle Kind = iota + 1
	// Unavailable answers 503.
	Unavailable
	// Denied answers that the caller may not do this.
	Denied
	// BlackHole takes the request and never answers, until the faults are set
	// anew or the client goes away.
	BlackHole
	// Slow sends the right answer in pieces of eight bytes, one every 16 ms.
	Slow
	// Garbage answers 200 with bytes of no protocol.
	Garbage
	// Half ends the connection in the middle of the right answer.
	Half
	// Reset ends the connection without any answer.
	Reset
)

// Fault makes calls fail.
type Fault struct {
	Kind Kind
	// Actions are those that fail; none means every one.
	Actions []string
	// Times is how many calls fail before the fault is over; 0 is until
	// SetFaults is called again.
	Times int
}

// SetFaults replaces the faults in force; without arguments there are none.
// The first one that fits a call counts.
func (s *Server) SetFaults(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = slices.Clone(faults)
	close(s.changed)
	s.changed = make(chan struct{})
}

// fault returns what happens to a call of action, 0 for nothing, and the
// channel that is closed when the faults are set anew.
func (s *Server) fault(action string) (Kind, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.faults {
		f := &s.faults[i]
		if len(f.Actions) > 0 && !slices.Contains(f.Actions, action) || f.Times < 0 {
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				f.Times = -1 // used up
			}
		}
		return f.Kind, s.changed
	}
	return 0, s.changed
}

// interfere carries out the faults that need no protocol. It returns false if
// the call must be answered all the same.
func (s *Server) interfere(w http.ResponseWriter, r *http.Request, k Kind, changed <-chan struct{}, c Call) bool {
	switch k {
	case BlackHole:
		c.Reason = "black hole"
		s.record(c)
		select {
		case <-changed:
		case <-s.closing:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case Reset:
		c.Reason = "connection reset"
		s.record(c)
		panic(http.ErrAbortHandler)
	case Garbage:
		c.Reason = "garbage"
		s.record(c)
		w.Write([]byte("\x16\x03\x01 <<<{{{ this is no answer \x00\xff"))
		return true
	}
	return false
}

// send writes an answer, as a slow or broken server would if k says so.
func (s *Server) send(w http.ResponseWriter, r *http.Request, k Kind, status int, body []byte) {
	w.WriteHeader(status)
	switch k {
	case Slow:
		tick := time.NewTicker(16 * time.Millisecond)
		defer tick.Stop()
		for piece := range slices.Chunk(body, 8) {
			w.Write(piece)
			http.NewResponseController(w).Flush()
			select {
			case <-tick.C:
			case <-s.closing:
				return
			case <-r.Context().Done():
				return
			}
		}
	case Half:
		w.Write(body[:len(body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	default:
		w.Write(body)
	}
}

// hold waits as long as Options.Hold says for action, unless the client or the
// server goes first.
func (s *Server) hold(r *http.Request, action string) {
	d := s.holds[action]
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.closing:
	case <-r.Context().Done():
	}
}
