package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Address is where a [Server] listens: a socket file, or a port of the loopback interface.
type Address struct {
	Network string // "tcp" or "unix"; "" is none
	Address string // 127.0.0.1:9090, or the absolute path of a socket
}

func (a Address) String() string {
	if a.Network == "unix" {
		return "unix:" + a.Address
	}
	return a.Address
}

const (
	headerTime = 3 * time.Second
	answerTime = 10 * time.Second // a scrape of a thousand profiles is a megabyte
	aliveTime  = 2 * time.Second  // for the engine to answer, which it does within moments
	drainTime  = 500 * time.Millisecond

	headerBytes = 8 << 10
	maxConns    = 64 // whoever connects more often waits
	namesTold   = 20 // of the profiles that are not fresh
)

// Server answers whoever asks how the run is:
//
//   - /healthz: 200 if the engine answers
//   - /readyz: 200 if all required profiles are fresh, see [Metrics.Ready]
//   - /metrics: [Metrics.Text]
//
// There is no secret in any answer, but the names of profiles and roles: so nobody but the
// processes of this machine is answered, and through a socket file only those of our
// user.
type Server struct {
	at      Address
	metrics *Metrics
	alive   func(context.Context) error
	addr    net.Addr
	texts   texts

	mu       sync.Mutex
	listener net.Listener // of the next call of Run; guarded by mu
}

// Listen opens the socket. alive asks the engine, until its context ends. The socket is
// given up by [Server.Run], or by Close where that has not been called.
func Listen(at Address, m *Metrics, alive func(context.Context) error) (*Server, error) {
	s := &Server{at: at, metrics: m, alive: alive}
	l, err := bind(at)
	if err != nil {
		return nil, err
	}
	s.listener, s.addr = l, l.Addr()
	return s, nil
}

// Check says why [Listen] would fail. It leaves nothing behind, but has the port for a moment.
func Check(at Address) error {
	if at.Network == "unix" {
		dir, _, err := locateSocket(at.Address)
		if err == nil {
			dir.Close()
		}
		return err
	}
	l, err := bind(at)
	if err == nil {
		err = l.Close()
	}
	return err
}

// bind opens the socket.
func bind(at Address) (net.Listener, error) {
	if at.Network == "unix" {
		return bindFile(at.Address)
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), at.Network, at.Address)
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // it names the address once more
	}
	return l, err
}

// take takes the listener, nil if there is none.
func (s *Server) take() net.Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.listener
	s.listener = nil
	return l
}

// Close gives the socket up that Run has not got.
func (s *Server) Close() {
	if l := s.take(); l != nil {
		l.Close()
	}
}

// Run answers until ctx ends, and then returns nil. No connection is left then. After an
// error it may be called again, and opens the socket again.
func (s *Server) Run(ctx context.Context) error {
	l := s.take()
	if l == nil {
		var err error
		if l, err = bind(s.at); err != nil {
			return fmt.Errorf("listen on %s: %w", s.at, err)
		}
	}
	limited := newLimited(l, maxConns)
	server := s.server(limited)
	served := make(chan error, 1) // Serve may end before anybody looks
	go func() { served <- server.Serve(limited) }()
	select {
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		_ = server.Shutdown(drain)
		server.Close()
		<-served
		return nil
	case err := <-served:
		server.Close()
		return fmt.Errorf("serve %s: %w", s.at, err)
	}
}

func (s *Server) server(l *limited) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler:                      http.HandlerFunc(s.answer),
		Protocols:                    &protocols,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headerTime,
		ReadTimeout:                  headerTime,
		WriteTimeout:                 answerTime,
		MaxHeaderBytes:               headerBytes,
		ErrorLog:                     log.New(io.Discard, "", 0), // what strangers send is not worth a line
		ConnState:                    l.state,
	}
	server.SetKeepAlivesEnabled(false) // who asks comes once in many seconds
	return server
}

// answer answers a request. A browser that was led here by a name of its own (DNS
// rebinding) sends that name.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	switch {
	case r.URL.Host != "" || s.at.Network != "unix" && !loopbackHost(r.Host):
		say(w, http.StatusForbidden, "the Host header must be a loopback address or localhost")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		say(w, http.StatusMethodNotAllowed, "only GET is answered here")
	case r.URL.Path == "/metrics":
		h.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		text := s.texts.get(s.metrics.Text)
		_, _ = w.Write(text.b)
		s.texts.put(text)
	case r.URL.Path == "/healthz":
		s.health(w, r)
	case r.URL.Path == "/readyz":
		s.ready(w)
	default:
		say(w, http.StatusNotFound, "there are /healthz, /readyz and /metrics")
	}
}

// texts are the answers that are under way. Whoever asks while one is that was made within this
// second gets the same: else a megabyte for each connection, which the other side need not
// take, could be had of us.
type texts struct {
	mu     sync.Mutex
	latest *sharedText // nil: none is under way
}

type sharedText struct {
	b    []byte
	made time.Time
	n    int // answers that it is in
}

func (t *texts) get(make func() []byte) *sharedText {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.latest == nil || time.Since(t.latest.made) > time.Second {
		t.latest = &sharedText{b: make(), made: time.Now()}
	}
	t.latest.n++
	return t.latest
}

func (t *texts) put(text *sharedText) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text.n--; text.n == 0 && t.latest == text {
		t.latest = nil
	}
}

func say(w http.ResponseWriter, status int, line string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, line+"\n")
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), aliveTime)
	defer cancel()
	if s.alive(ctx) != nil {
		say(w, http.StatusServiceUnavailable, "the engine does not answer")
		return
	}
	say(w, http.StatusOK, "ok")
}

func (s *Server) ready(w http.ResponseWriter) {
	ready, missing, of := s.metrics.Ready()
	line := "all profiles have valid credentials"
	if len(missing) > 0 || of == 0 {
		told := make([]string, 0, namesTold)
		for _, name := range missing[:min(len(missing), namesTold)] {
			told = append(told, fmt.Sprintf("%q", name))
		}
		line = fmt.Sprintf("%d of %d profiles have no valid credentials: %s", len(missing), of, strings.Join(told, " "))
		if len(missing) > namesTold {
			line += " …"
		}
	}
	if !ready {
		say(w, http.StatusServiceUnavailable, "not ready: "+line)
		return
	}
	say(w, http.StatusOK, "ready: "+line)
}

// loopbackHost accepts localhost and loopback literals, with any port or none.
func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
		host = inner[:len(inner)-1]
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
