package endpoint

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"brs-exec.example/brs-exec/writer/loopback"
)

const (
	// headerTime bounds a client that dawdles. SDKs give up after 1 or 2 s, so nobody who is slower is still waiting.
	headerTime = 3 * time.Second
	// headerBytes is far over what SDKs send (under 2 KiB with the longest user agents); net/http adds 4 KiB of its own.
	headerBytes = 8 << 10
	// busyRate is how many requests in a second are those of a program that asks for one profile after the other.
	busyRate = 50
	// drainTime bounds the end of Run: an answer takes microseconds, so this is for a client that was stopped meanwhile.
	drainTime = 500 * time.Millisecond
)

// socket is a loopback listener and the HTTP server on it.
type socket struct {
	listener *limitListener
	http     *http.Server
	conns    sync.WaitGroup // connections that have a goroutine
	rate     rate
	taken    func() bool // another program has had the address for a while
}

// rate counts requests.
type rate struct {
	mu            sync.Mutex
	second        int64 // that is counted
	count, before int   // in it and in the one before
}

// busy counts a request, and tells whether there were many in the last second or two.
func (r *rate) busy(now time.Time) bool {
	second := now.Unix()
	r.mu.Lock()
	defer r.mu.Unlock()
	if second != r.second {
		if r.before = r.count; second != r.second+1 {
			r.before = 0
		}
		r.second, r.count = second, 0
	}
	r.count++
	return r.count+r.before > busyRate
}

// listen binds an address of the loopback interface, any if it is "". notify, if not nil, is called when the socket breaks
// and, with nil, when it has been opened again.
func listen(address string, h http.Handler, notify func(error)) (*socket, error) {
	l, err := loopback.Listen(address, notify)
	if err != nil {
		return nil, err
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s := &socket{listener: newLimitListener(l, maxConns, dawdleTime)}
	s.taken = l.Taken
	s.http = &http.Server{
		Handler:                      s.guard(h),
		Protocols:                    &protocols,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is one more method to refuse
		ReadHeaderTimeout:            headerTime,
		ReadTimeout:                  headerTime,
		WriteTimeout:                 headerTime,
		IdleTimeout:                  headerTime,
		MaxHeaderBytes:               headerBytes,
		ErrorLog:                     log.New(io.Discard, "", 0), // what strangers send is not worth a line
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.conns.Add(1)
			case http.StateActive, http.StateIdle:
				s.listener.rests(c, state == http.StateIdle)
			case http.StateClosed, http.StateHijacked:
				s.conns.Done()
			}
		},
	}
	return s, nil
}

// guard refuses what no SDK of this machine sends, and ends the connection after the answer unless the server is busy: a client
// comes once in many minutes, so a kept connection would only hold memory here, and be closed under a client that has just
// decided to use it again. Once another program has had the address, it may have been sent the
// secrets of all clients, so from then on they do not suffice.
func (s *socket) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.rate.busy(time.Now()) {
			w.Header()["Connection"] = ends
		}
		if !admit(w, r) {
			return
		}
		if s.taken() && !ownPeer(r) {
			refuse(w, http.StatusForbidden, "Forbidden", "another program had this port for a while; now only the user that started this one is answered")
			return
		}
		h.ServeHTTP(w, r)
	})
}

// ends is the Connection header of the last answer on one. It is only read.
var ends = []string{"close"}

func (s *socket) url() string { return "http://" + s.listener.Addr().String() }

// run serves until ctx ends and returns only when every connection's goroutine is done.
func (s *socket) run(ctx context.Context) error {
	served := make(chan error, 1) // 1: Serve may end before anybody looks
	go func() { served <- s.http.Serve(s.listener) }()
	var broken error
	select {
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		s.http.Shutdown(drain)
		cancel()
		s.http.Close()
		<-served
	case err := <-served:
		s.http.Close()
		broken = fmt.Errorf("serve %s: %w", s.listener.Addr(), err)
	}
	s.listener.Close() // Serve does not take a listener that it was given after Close
	s.conns.Wait()
	return broken
}
