package endpoint

import (
	"container/list"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// maxConns bounds memory (about 16 KiB a connection) and, more important, the descriptors that refreshes need too.
	maxConns = 128
	// dawdleTime is when a connection counts as one that only sits there. An answer takes well under a millisecond, but this
	// process may be kept from running for much longer on a busy machine.
	dawdleTime = 250 * time.Millisecond
	// A socket that is broken is opened again at once, then after a while that doubles each time.
	firstRetry, lastRetry = 10 * time.Millisecond, time.Second
)

// limitListener is a listener with a bounded number of open connections. When it is full it does not shut new clients out, which
// would let any local user lock the command out with idle connections: a burst waits in the kernel's queue, and a connection
// that dawdles is closed to make room.
//
// Nothing but Close ends it. The command knows one address, so if the socket breaks (shut down from outside, say) it is opened
// again there and nowhere else.
type limitListener struct {
	addr   net.Addr
	bind   func(address string) (*net.TCPListener, error)
	notify func(err error) // nil says that it works again
	told   string          // of Accept's goroutine: the last error that notify was given
	max    int
	dawdle time.Duration
	freed  chan struct{} // 1: a note that a connection was closed, or is idle, since Accept looked last
	closed chan struct{}
	// taken is set once another program has had the address: it may know by now what clients send there.
	taken atomic.Bool

	mu      sync.Mutex
	socket  *net.TCPListener
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

func newLimitListener(l *net.TCPListener, limit int, dawdle time.Duration) *limitListener {
	return &limitListener{
		addr: l.Addr(), bind: bind, notify: func(error) {}, max: limit, dawdle: dawdle,
		freed: make(chan struct{}, 1), closed: make(chan struct{}), socket: l, open: list.New(), idle: list.New(),
	}
}

// Addr implements net.Listener.
func (l *limitListener) Addr() net.Addr { return l.addr }

// Close implements net.Listener.
func (l *limitListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		return nil
	default:
	}
	close(l.closed)
	return l.socket.Close()
}

// Accept returns the next connection once there is room for it. Its only error is that of a closed listener.
func (l *limitListener) Accept() (net.Conn, error) {
	tcp, err := l.accept()
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

// accept waits for a connection, and opens the socket again as often as it takes.
func (l *limitListener) accept() (*net.TCPConn, error) {
	for wait := time.Duration(0); ; wait = min(max(2*wait, firstRetry), lastRetry) {
		select {
		case <-l.closed:
			return nil, net.ErrClosed
		case <-time.After(wait):
		}
		tcp, err := l.current().AcceptTCP()
		if err == nil {
			l.tell(nil)
			return tcp, nil
		}
		switch again := l.reopen(err); {
		case errors.Is(again, errEnded):
			return nil, net.ErrClosed
		case again != nil:
			l.tell(again)
		default:
			if l.told == "" {
				l.tell(err)
			}
			l.tell(nil)
		}
	}
}

func (l *limitListener) current() *net.TCPListener {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.socket
}

// tell says what is wrong, and that it is over, once each.
func (l *limitListener) tell(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != l.told {
		l.told = text
		l.notify(err)
	}
}

var errEnded = errors.New("the listener was closed")

// reopen opens the socket again if that is what err asks for, and returns what is still wrong.
func (l *limitListener) reopen(err error) error {
	for _, scarce := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, scarce) {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		return errEnded
	default:
	}
	l.socket.Close()
	socket, err := l.bind(l.addr.String())
	if err != nil {
		l.taken.Store(true)
		return err
	}
	l.socket = socket
	return nil
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
