package sign

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"time"
)

const established = "HTTP/1.1 200 Connection established\r\n\r\n"

// connect answers CONNECT: it takes the connection over, to decrypt it, or to copy it to where the client wants.
func (s *Server) connect(w http.ResponseWriter, r *http.Request, from *origin) {
	name, port := splitHost(r.RequestURI, "443")
	switch {
	case name == "":
		http.Error(w, "brs-exec: CONNECT without a host", http.StatusBadRequest)
	case s.isSelf(name, port):
		s.refuseLoop(w)
	case s.ends(name, port):
		s.decrypt(w, &origin{host: name, port: port, checkPeer: from.checkPeer})
	default:
		s.tunnel(w, r, joinHost(name, port))
	}
}

// hijack takes a connection over, with what was read of it ahead.
func hijack(w http.ResponseWriter) (*client, *bytes.Reader, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	ahead, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	conn.SetDeadline(time.Time{})
	return conn.(*client), bytes.NewReader(bytes.Clone(ahead)), nil
}

// decrypt hands the connection over to the HTTP server, after the first byte has told what is spoken on it.
func (s *Server) decrypt(w http.ResponseWriter, to *origin) {
	tcp, ahead, err := hijack(w)
	if err != nil {
		return
	}
	stop := context.AfterFunc(s.ctx, func() { tcp.Close() })
	defer stop()
	if _, err := io.WriteString(tcp, established); err != nil {
		tcp.Close()
		return
	}
	c := &tunnelled{client: tcp, origin: *to, ahead: ahead}
	if ahead.Len() == 0 {
		first := make([]byte, 1)
		tcp.SetReadDeadline(time.Now().Add(headerTime))
		if _, err := tcp.Read(first); err != nil {
			tcp.Close()
			return
		}
		tcp.SetReadDeadline(time.Time{})
		c.ahead = bytes.NewReader(first)
	}
	first, _ := c.ahead.ReadByte()
	c.ahead.UnreadByte()
	if first != handshake {
		s.decrypted.give(c)
		return
	}
	c.origin.tls = true
	s.decrypted.give(tls.Server(c, s.tls))
}

// configure is the GetConfigForClient of all decrypted connections.
func (s *Server) configure(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	to := hello.Conn.(*tunnelled).origin
	return s.protocols.config(hello, to.host, joinHost(to.host, to.port), s.authority.Config(to.host)), nil
}

// tunnel copies the bytes of a connection, both ways.
func (s *Server) tunnel(w http.ResponseWriter, r *http.Request, address string) {
	up, err := s.transports.tunnel(r.Context(), address)
	if err != nil {
		s.lines.once("a host cannot be reached", "host", address, "err", err)
		http.Error(w, "brs-exec: "+address+" cannot be reached: "+err.Error(), http.StatusBadGateway)
		return
	}
	defer up.Close()
	down, ahead, err := hijack(w)
	if err != nil {
		return
	}
	defer down.Close()
	stop := context.AfterFunc(s.ctx, func() { up.Close(); down.Close() })
	defer stop()
	if _, err := io.WriteString(down, established); err != nil {
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		pass(down, up, down, up)
	}()
	if _, err := ahead.WriteTo(up); err != nil {
		up.Close()
	}
	pass(up, down, down, up)
	<-back
}

// pass copies one direction and passes on that it has ended. If it broke, both directions end.
func pass(dst, src net.Conn, both ...net.Conn) {
	_, err := io.Copy(dst, src)
	if half, ok := dst.(interface{ CloseWrite() error }); ok && err == nil && half.CloseWrite() == nil {
		return
	}
	for _, c := range both {
		c.Close()
	}
}
