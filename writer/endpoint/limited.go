package endpoint

import (
	"container/list"
	"net"
	"sync"
	"time"
)

const (
	// maxConns bounds memory (about 16 KiB a connection) and, more important, the descriptors that refreshes need too.
	maxConns = 128
	// dawdleTime is when a connection counts as one that only sits there. An answer takes well under a millisecond, but this
	// process may be kept from running for much longer on a busy machine.
	dawdleTime = 250 * time.Millisecond
)

// limited is a listener with a bounded number of open connections. When it is full it does not shut new clients out, which
// would let any local user lock the child out with idle connections: a burst waits in the kernel's queue, and a connection
// that dawdles is closed to make room.
type limited struct {
	*net.TCPListener
	max    int
	dawdle time.Duration
	freed  chan struct{} // 1: a note that a connection was closed since Accept looked last

	mu   sync.Mutex
	open *list.List // of *limitedConn, oldest first
}

// limitedConn embeds the TCP connection itself, because net/http half-closes it after an early refusal so that the client
// can still read the answer.
type limitedConn struct {
	*net.TCPConn
	since time.Time
	once  sync.Once
	drop  func()
}

func newLimited(l *net.TCPListener, limit int, dawdle time.Duration) *limited {
	return &limited{TCPListener: l, max: limit, dawdle: dawdle, freed: make(chan struct{}, 1), open: list.New()}
}

// Accept returns the next connection once there is room for it.
func (l *limited) Accept() (net.Conn, error) {
	tcp, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	l.makeRoom()
	c := &limitedConn{TCPConn: tcp, since: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	place := l.open.PushBack(c)
	c.drop = func() {
		l.mu.Lock()
		l.open.Remove(place)
		l.mu.Unlock()
		select {
		case l.freed <- struct{}{}:
		default:
		}
	}
	return c, nil
}

// makeRoom returns when one more connection fits; it takes dawdle at most, since then the oldest one is closed.
func (l *limited) makeRoom() {
	for {
		l.mu.Lock()
		if l.open.Len() < l.max {
			l.mu.Unlock()
			return
		}
		oldest := l.open.Front().Value.(*limitedConn)
		l.mu.Unlock()
		left := l.dawdle - time.Since(oldest.since)
		if left <= 0 {
			oldest.Close()
			continue
		}
		timer := time.NewTimer(left)
		select {
		case <-l.freed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Close may be called from the listener and from the connection's own goroutine.
func (c *limitedConn) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(c.drop)
	return err
}
