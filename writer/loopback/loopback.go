// Package loopback binds ports of the loopback interface that stay bound, and tells whose process is at the other end of a
// connection there.
package loopback

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A socket that is broken is opened again at once, then after a while that doubles each time.
const firstRetry, lastRetry = 10 * time.Millisecond, time.Second

// Listener is a net.Listener that nothing but Close ends. Clients know one address, so if the socket breaks (shut down from
// outside, say) it is opened again there and nowhere else.
type Listener struct {
	addr   net.Addr
	bind   func(address string) (*net.TCPListener, error)
	notify func(err error)
	told   string // of Accept's goroutine: the last error that notify was given
	closed chan struct{}
	taken  atomic.Bool

	mu     sync.Mutex
	socket *net.TCPListener
}

// Listen binds an address of the loopback interface. "" is any free port, of 127.0.0.1, whose URL every SDK accepts, and of
// ::1 only where there is no IPv4. Answers have a TTL of 1 where the system can. notify, if not nil, is called when the socket
// breaks and, with nil, when it works again; it must not wait.
func Listen(address string, notify func(err error)) (*Listener, error) {
	socket, err := bind(address)
	if err != nil {
		return nil, err
	}
	if notify == nil {
		notify = func(error) {}
	}
	return &Listener{addr: socket.Addr(), bind: bind, notify: notify, closed: make(chan struct{}), socket: socket}, nil
}

func bind(address string) (*net.TCPListener, error) {
	lc := net.ListenConfig{
		KeepAlive: -1, // its timers cost four calls a connection, and no peer on loopback vanishes without a word
		Control:   func(network, _ string, c syscall.RawConn) error { return limitHops(network, c) },
	}
	lc.SetMultipathTCP(false) // no use on loopback, and not every client kernel or sandbox likes the handshake
	if address == "" {
		l, err := lc.Listen(context.Background(), "tcp4", "127.0.0.1:0")
		if err == nil {
			return l.(*net.TCPListener), nil
		}
		l6, err6 := lc.Listen(context.Background(), "tcp6", "[::1]:0")
		if err6 == nil {
			return l6.(*net.TCPListener), nil
		}
		return nil, fmt.Errorf("bind loopback: %w", errors.Join(err, err6))
	}
	l, err := lc.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("bind loopback: %w", err)
	}
	return l.(*net.TCPListener), nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.addr }

// Taken tells whether another program has had the address for a while: it may know by now what clients send there.
func (l *Listener) Taken() bool { return l.taken.Load() }

// Close implements net.Listener.
func (l *Listener) Close() error {
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

// Accept implements net.Listener. Its only error is that of a closed listener.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err // and no *net.TCPConn that is nil
	}
	return c, nil
}

// AcceptTCP is Accept, and opens the socket again as often as it takes. One goroutine at a time may call it.
func (l *Listener) AcceptTCP() (*net.TCPConn, error) {
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

func (l *Listener) current() *net.TCPListener {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.socket
}

// tell says what is wrong, and that it is over, once each.
func (l *Listener) tell(err error) {
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
func (l *Listener) reopen(err error) error {
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
