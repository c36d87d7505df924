package metrics

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// dawdle is when a connection that has sent no request may be closed for want of room.
const dawdle = 250 * time.Millisecond

// limited is a listener with a bounded number of open connections. When it is full the
// next one waits in the kernel, and the oldest is closed that has sent no request: else
// any process of this machine could shut the others out with idle connections.
type limited struct {
	net.Listener
	max   int
	freed chan struct{} // has one when a connection may have ended

	mu     sync.Mutex
	open   int
	silent []silent // that have sent no request, oldest first
}

type silent struct {
	net.Conn
	since time.Time
}

func newLimited(l net.Listener, most int) *limited {
	return &limited{Listener: l, max: most, freed: make(chan struct{}, 1)}
}

// Accept returns the next connection once there is room for it.
func (l *limited) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	for wait := l.room(); wait > 0; wait = l.room() {
		timer := time.NewTimer(wait)
		select {
		case <-l.freed:
		case <-timer.C:
		}
		timer.Stop()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open++
	l.silent = append(l.silent, silent{c, time.Now()})
	return c, nil
}

// room returns 0 if there is room, else how long to wait before looking again.
func (l *limited) room() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open < l.max {
		return 0
	}
	if len(l.silent) == 0 {
		return time.Second
	}
	oldest := l.silent[0]
	if left := dawdle - time.Since(oldest.since); left > 0 {
		return left
	}
	l.silent = l.silent[1:]
	_ = oldest.Close() // the server notices, and says so to state
	return dawdle
}

// state follows a connection of the server.
func (l *limited) state(c net.Conn, s http.ConnState) {
	if s == http.StateNew {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = slices.DeleteFunc(l.silent, func(one silent) bool { return one.Conn == c })
	if s != http.StateClosed && s != http.StateHijacked {
		return
	}
	l.open--
	select {
	case l.freed <- struct{}{}:
	default:
	}
}
