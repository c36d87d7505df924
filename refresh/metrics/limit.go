package metrics

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// When a connection may be closed for want of room: one that has sent no request, and one that
// does not take its answer. Whoever is on this machine takes the longest in a moment.
const (
	dawdle = 250 * time.Millisecond
	slow   = 3 * time.Second
)

// limited is a listener with a bounded number of open connections. When it is full the
// next one waits in the kernel, and one is closed that has dawdled: else any process of
// this machine could shut the others out.
type limited struct {
	net.Listener
	max   int
	freed chan struct{} // has one when a connection may have ended

	mu   sync.Mutex
	open []*one // oldest first
}

// one is an open connection.
type one struct {
	net.Conn
	since   time.Time
	asked   bool // it has sent a request
	dropped bool // for want of room
}

// due is when it may be closed.
func (c *one) due() time.Time {
	if c.asked {
		return c.since.Add(slow)
	}
	return c.since.Add(dawdle)
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
		select {
		case <-l.freed:
		case <-time.After(wait):
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = append(l.open, &one{Conn: c, since: time.Now()})
	return c, nil
}

// room returns 0 if there is room, else how long to wait before looking again.
func (l *limited) room() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) < l.max {
		return 0
	}
	var next *one
	for _, c := range l.open {
		if !c.dropped && (next == nil || c.due().Before(next.due())) {
			next = c
		}
	}
	if next == nil {
		return time.Second
	}
	if left := time.Until(next.due()); left > 0 {
		return left
	}
	next.dropped = true
	_ = next.Close() // the server notices, and says so to state
	return dawdle
}

// state follows a connection of the server.
func (l *limited) state(c net.Conn, s http.ConnState) {
	if s == http.StateNew {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.open, func(o *one) bool { return o.Conn == c })
	if i < 0 {
		return
	}
	l.open[i].asked = true
	if s != http.StateClosed && s != http.StateHijacked {
		return
	}
	l.open = slices.Delete(l.open, i, i+1)
	select {
	case l.freed <- struct{}{}:
	default:
	}
}
