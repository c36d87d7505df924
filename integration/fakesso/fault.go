package fakesso

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Kind is a way in which the server can fail.
type Kind int

const (
	// Unavailable answers 503.
	Unavailable Kind = iota + 1
	// Throttle answers 429.
	Throttle
	// Garbage answers 200 with bytes of no protocol.
	Garbage
	// Empty answers 200 with an object that has nothing in it.
	Empty
	// Redirect answers 307, to Fault.To.
	Redirect
	// Oversized answers 200 with three megabytes.
	Oversized
	// BlackHole takes the request and never answers.
	BlackHole
	// Late answers right, after a second.
	Late
)

// Fault makes calls fail.
type Fault struct {
	Kind    Kind
	Actions []string // those that fail, by the first word of Call.Action; none means every one
	To      string
}

// SetFaults replaces the faults in force; without arguments there are none.
func (s *Server) SetFaults(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = slices.Clone(faults)
}

// interfere says whether a fault has answered.
func (s *Server) interfere(w http.ResponseWriter, r *http.Request, action string) bool {
	s.mu.Lock()
	var f Fault
	name, _, _ := strings.Cut(action, " ")
	for _, fault := range s.faults {
		if len(fault.Actions) == 0 || slices.Contains(fault.Actions, name) {
			f = fault
			break
		}
	}
	if f.Kind != 0 && f.Kind != Late {
		s.calls = append(s.calls, Call{Action: action, Code: "fault", Reason: "made to fail by the test"})
	}
	s.mu.Unlock()
	h := w.Header()
	switch f.Kind {
	case Unavailable:
		h.Set("X-Amzn-Errortype", "InternalServerException")
		w.WriteHeader(http.StatusServiceUnavailable)
	case Throttle:
		h.Set("X-Amzn-Errortype", "TooManyRequestsException")
		w.WriteHeader(http.StatusTooManyRequests)
	case Garbage:
		w.Write([]byte("\x16\x03\x01 <<<{{{ this is no answer \x00\xff"))
	case Empty:
		w.Write([]byte("{}"))
	case Redirect:
		h.Set("Location", f.To+r.URL.RequestURI())
		w.WriteHeader(http.StatusTemporaryRedirect)
	case Oversized:
		w.Write([]byte(`{"accessToken":"` + strings.Repeat("a", 3<<20) + `"}`))
	case BlackHole:
		select {
		case <-s.closing:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case Late:
		timer := time.NewTimer(time.Second)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.closing:
		case <-r.Context().Done():
		}
		return false
	default:
		return false
	}
	return true
}
