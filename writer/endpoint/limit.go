package endpoint

import (
	"container/list"
	"net"
	"sync"
	"time"

	"brs-exec.example/brs-exec/writer/loopback"
)

const (
	// maxConns bounds memory (about 16 KiB a connection) and, more important, the descriptors that refreshes need too.
	maxConns = 128
	// dawdleTime is when a connection counts as one that only sits there. An answer takes well under a millisecond, but this
	// process may be kept from running for much longer on a busy machine.
	dawdleTime = 250 * time.Millisecond
)

// limitListener is a listener with a bounded number of open connections. When it is full it does not shut new clients out, which
// would let any local user lock the command out with idle connections: a burst waits in the kernel's queue, and a connection
// that dawdles is closed to make room.
type limitListener struct {
	*loopback.Listener
	max    int
	dawdle time.Duration
	freed  chan struct{} // 1: a note that a connection was closed, or is idle, since Accept looked last

	mu      sync.Mutex
	open    *list.List // of *limitConn, oldest first
	idle    *list.List // of those that wait for another request, the one that waits longest first
	evicted int        // of dawdling connections in a row
}

// limitConn embeds the TCP connection itself, because net/http half-closes it after an early refusal so that the client
// can still read the answer.
type limitConn struct {
	*net.TCPConn
	since time.Time
	once  sync.Once
	drop  func()
	open  *list.Element // its place
	idle  *list.Element // nil: it is at a request, or has not made one
}

func newLimitListener(l *loopback.Listener, limit int, dawdle time.Duration) *limitListener {
	return &limitListener{Listener: l, max: limit, dawdle: dawdle, freed: make(chan struct{}, 1), open: list.New(), idle: list.New()}
}

// Accept returns the next connection once there is room for it. Its only error is that of a closed listener.
func (l *limitListener) Accept() (net.Conn, error) {
	tcp, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	l.makeRoom()
	c := &limitConn{TCPConn: tcp, since: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.open = l.open.PushBack(c)
	c.drop = func() {
		l.mu.Lock()
		l.open.Remove(c.open)
		l.setIdle(c, false)
		l.mu.Unlock()
		l.free()
	}
	return c, nil
}

// free tells who waits for room that there is some, or can be made.
func (l *limitListener) free() {
	select {
	case l.freed <- struct{}{}:
	default:
	}
}

// rests is told that a connection waits for another request, or no longer does.
func (l *limitListener) rests(conn net.Conn, idle bool) {
	c, ok := conn.(*limitConn)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.idle != nil && !idle { // the time for this request begins
		c.since = time.Now()
		l.open.MoveToBack(c.open)
	}
	l.setIdle(c, idle)
	if idle {
		l.free()
	}
}

// setIdle is called with the lock.
func (l *limitListener) setIdle(c *limitConn, idle bool) {
	switch {
	case idle && c.idle == nil:
		c.idle = l.idle.PushBack(c)
	case !idle && c.idle != nil:
		l.idle.Remove(c.idle)
		c.idle = nil
	}
}

// patience is how long a connection may dawdle where there is no room: less and less while all of them do, or a user of
// this machine who opens thousands would keep the command waiting for minutes.
func (l *limitListener) patience() time.Duration { return l.dawdle >> min(l.evicted/l.max, 6) }

// makeRoom returns when one more connection fits; it takes dawdle at most, since then the oldest one is closed. One that
// waits for another request is closed at once.
func (l *limitListener) makeRoom() {
	for {
		l.mu.Lock()
		if l.open.Len() < l.max/2 {
			l.evicted = 0
		}
		if l.open.Len() < l.max {
			l.mu.Unlock()
			return
		}
		if idle := l.idle.Front(); idle != nil {
			l.mu.Unlock()
			idle.Value.(*limitConn).Close()
			continue
		}
		oldest := l.open.Front().Value.(*limitConn)
		left := l.patience() - time.Since(oldest.since)
		if left <= 0 {
			l.evicted++
		}
		l.mu.Unlock()
		if left <= 0 {
			oldest.Close()
			continue
		}
		select {
		case <-l.freed:
		case <-time.After(left):
		}
	}
}

// Close may be called from the listener and from the connection's own goroutine.
func (c *limitConn) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(c.drop)
	return err
}
