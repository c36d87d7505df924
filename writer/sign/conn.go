package sign

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"brs-exec.example/brs-exec/writer/loopback"
)

// origin is how a request came in.
type origin struct {
	// host and port are what the client asked for with CONNECT, "" if the connection is not such a one.
	host, port string
	tls        bool         // it was decrypted
	checkPeer  func() error // whether the client is a process of our own user; the look-up takes place once
}

// client is a connection that was accepted.
type client struct {
	*net.TCPConn
	server  *Server
	origin  origin
	checked bool // whose it is
	read    bool // at least once
	closed  sync.Once
}

// Close may be called more than once.
func (c *client) Close() error {
	err := c.TCPConn.Close()
	c.closed.Do(func() { <-c.server.open })
	return err
}

// plain accepts connections for the server.
type plain struct{ s *Server }

func (p plain) Addr() net.Addr { return p.s.listener.Addr() }
func (p plain) Close() error   { return p.s.listener.Close() }
func (p plain) Accept() (net.Conn, error) {
	select {
	case p.s.open <- struct{}{}:
	default:
		p.s.lines.once("the command has so many connections to the signing proxy that new ones wait until others end (ulimit -n)", "connections", cap(p.s.open))
		select {
		case p.s.open <- struct{}{}:
		case <-p.s.ended:
			return nil, net.ErrClosed
		}
	}
	tcp, err := p.s.listener.AcceptTCP()
	if err != nil {
		<-p.s.open
		return nil, err
	}
	c := &client{TCPConn: tcp, server: p.s}
	c.origin.checkPeer = sync.OnceValue(func() error {
		if !p.s.checkPeers {
			return nil
		}
		err := loopback.CheckPeer(tcp.RemoteAddr(), tcp.LocalAddr())
		if errors.Is(err, errors.ErrUnsupported) {
			return nil
		}
		return err
	})
	return c, nil
}

// handshake is the first byte of a TLS connection.
const handshake = 0x16

// alert is a whole TLS alert: fatal, handshake_failure. A client prints at least that.
var alert = []byte{0x15, 3, 1, 0, 2, 2, 40}

// mostOpen bounds the connections where the system has no such limit.
const mostOpen = 100_000

// strangerTime is how long another user may take over a header. Whoever sends none would keep a connection from the command.
const strangerTime = time.Second

// Read refuses a client that speaks TLS, which would wait for an answer that it understands.
func (c *client) Read(p []byte) (n int, err error) {
	if !c.checked {
		c.checked = true
		if c.origin.checkPeer() != nil {
			c.SetReadDeadline(time.Now().Add(strangerTime))
		}
	}
	n, err = c.TCPConn.Read(p)
	if !c.read && n > 0 {
		c.read = true
		if p[0] == handshake {
			c.server.lines.once("a client speaks TLS to the signing proxy, whose URL begins with http://", "proxy", c.server.URL())
			c.TCPConn.Write(alert)
			return 0, io.EOF
		}
	}
	return n, err
}

type originKey struct{}

// withOrigin is the server's ConnContext.
func withOrigin(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	switch c := conn.(type) {
	case *client:
		return context.WithValue(ctx, originKey{}, &c.origin)
	case *tunnelled:
		return context.WithValue(ctx, originKey{}, &c.origin)
	}
	return ctx
}

func originOf(r *http.Request) *origin {
	o, _ := r.Context().Value(originKey{}).(*origin)
	return o
}

// tunnelled is a connection after CONNECT.
type tunnelled struct {
	*client
	origin origin
	ahead  *bytes.Reader // what was read of it before
}

func (t *tunnelled) Read(p []byte) (n int, err error) {
	if t.ahead.Len() > 0 {
		return t.ahead.Read(p)
	}
	return t.TCPConn.Read(p)
}

// handover is a listener that is given its connections.
type handover struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }

func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// give hands a connection over, or closes it if nobody takes any more.
func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		c.Close()
	}
}
