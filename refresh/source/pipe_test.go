package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// pipeNet is a network in memory, so that servers can be in a synctest bubble:
// a real socket would keep its clock from advancing.
type pipeNet struct {
	down  atomic.Bool // nobody can connect
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeNet() *pipeNet { return &pipeNet{conns: make(chan net.Conn), done: make(chan struct{})} }

// serve answers all addresses with h, in the bubble of t, until the test ends.
func serve(t *testing.T, h http.Handler) *pipeNet {
	n := newPipeNet()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Else the server may answer before it has read the request, and close the
		// connection under the client who still writes.
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
	})}
	go srv.Serve(n)
	t.Cleanup(func() { srv.Close() })
	return n
}

func (n *pipeNet) dial(ctx context.Context, _, address string) (net.Conn, error) {
	if n.down.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("network is unreachable")}
	}
	here, there := newPipe()
	select {
	case n.conns <- there:
		return here, nil
	case <-n.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (n *pipeNet) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.done:
		return nil, net.ErrClosed
	}
}

func (n *pipeNet) Close() error   { n.once.Do(func() { close(n.done) }); return nil }
func (n *pipeNet) Addr() net.Addr { return pipeAddr }

// newPipe returns the two ends of a connection in memory. Unlike those of net.Pipe they
// take what is written before it is read, as a socket does: else two ends of TLS that say
// goodbye at once wait for each other.
func newPipe() (here, there net.Conn) {
	a, b := newStream(), newStream()
	return &pipeConn{a, b}, &pipeConn{b, a}
}

type pipeConn struct{ in, out *stream }

func (c *pipeConn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *pipeConn) Write(b []byte) (int, error) { return c.out.write(b) }

func (c *pipeConn) Close() error {
	c.in.end(net.ErrClosed, syscall.EPIPE)
	c.out.end(io.EOF, net.ErrClosed)
	return nil
}

func (c *pipeConn) LocalAddr() net.Addr                { return pipeAddr }
func (c *pipeConn) RemoteAddr() net.Addr               { return pipeAddr }
func (c *pipeConn) SetDeadline(t time.Time) error      { return c.SetReadDeadline(t) }
func (c *pipeConn) SetReadDeadline(t time.Time) error  { c.in.setDeadline(t); return nil }
func (c *pipeConn) SetWriteDeadline(t time.Time) error { return nil } // no write waits

var pipeAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}

// stream is one direction of a pipe.
type stream struct {
	mu                sync.Mutex
	changed           *sync.Cond
	data              bytes.Buffer
	readErr, writeErr error     // once an end is closed; what was written by then can be read
	deadline          time.Time // of reads
	timer             *time.Timer
}

func newStream() *stream {
	s := &stream{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readErr == net.ErrClosed:
			return 0, s.readErr
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return 0, os.ErrDeadlineExceeded
		case s.data.Len() > 0 || len(b) == 0:
			return s.data.Read(b)
		case s.readErr != nil:
			return 0, s.readErr
		}
		s.changed.Wait()
	}
}

func (s *stream) write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writeErr != nil {
		return 0, s.writeErr
	}
	s.changed.Broadcast()
	return s.data.Write(b)
}

// end tells both sides that one of them is closed. The side that closes overrides what
// the other one did before.
func (s *stream) end(read, write error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readErr == nil || read == net.ErrClosed {
		s.readErr = read
	}
	if s.writeErr == nil || write == net.ErrClosed {
		s.writeErr = write
	}
	s.changed.Broadcast()
}

func (s *stream) setDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if wait := time.Until(t); !t.IsZero() && wait > 0 {
		s.timer = time.AfterFunc(wait, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.changed.Broadcast()
		})
	}
	s.changed.Broadcast()
}
