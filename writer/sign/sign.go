// Package sign signs for the command: a server on loopback takes the requests that the command signed with local keys, which
// never expire and are worth nothing elsewhere, checks them, signs them anew with the real credentials of the moment and sends
// them on. There are two ways in:
//
//   - Proxy: the command's HTTPS_PROXY. Connections to AWS's hosts are decrypted with certificates of an authority that lives as
//     long as the [Server]; all others are tunnelled. Every client that knows proxies can go this way, and a request's host is
//     known.
//   - Endpoint: the command's AWS_ENDPOINT_URL, plain HTTP. The host to send a request on to follows from the scope of its
//     signature.
//
// What is sent on is what the command sent, byte for byte, but for the signature. Requests that are signed with other keys
// or not at all pass unchanged where their host is known.
package sign

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/writer/loopback"
	"brs-exec.example/brs-exec/writer/pathsafe"
	"brs-exec.example/brs-exec/writer/sign/authority"
	"brs-exec.example/brs-exec/writer/sign/services"
)

// Way says how the command's requests come in.
type Way int

// The ways.
const (
	Both Way = iota
	Proxy
	Endpoint
)

// Options says what a [Server] signs and where it sends it. The zero value is usable.
type Options struct {
	// Only limits the services and regions of all signed requests.
	Only services.Limits
	// Hosts are those of servers other than AWS's, as HOST or HOST:PORT, that are signed for as well, with the hosts below them.
	Hosts []string
	// Endpoints are the URLs that the user had configured, by signing name, "" for all services. They are where the requests of
	// the endpoint way go in place of AWS's.
	Endpoints map[string]string
	// Upstream is the URL where all that is for AWS goes, for a rehearsal without an account; "" for AWS itself.
	Upstream string
	// Region is the command's; it is for services whose clients cannot use the endpoint way.
	Region string
	// Environ is what the user's proxies and certificate authorities are taken from.
	Environ []string
	// CABundle is ca_bundle of the user's profile.
	CABundle string
	// Via are the ways that Env points to.
	Via Way
	// Notify, if not nil, is called after each request. It must not wait.
	Notify func(Request)
	// Failed, if not nil, is called with an error when the socket does not work, and with nil when it does again. It must not
	// wait.
	Failed func(error)
	// Log gets what the user should know: each line once for a host. nil discards it.
	Log *slog.Logger
}

// Request is what a [Server] tells of a request. It has nothing secret.
type Request struct {
	Time time.Time
	Took time.Duration
	// Way is "proxy" or "endpoint".
	Way string
	// Profile is the one that it was signed for, "" for a request that was signed with other keys than local ones.
	Profile string
	// KeyID, Service and Region are of the client's signature, "" if there is none. The Region of an asymmetric one is its set.
	KeyID, Service, Region string
	// Operation is what of it is known, "" if nothing is.
	Operation string
	Host      string // that it was sent to, with the port if that is not the usual one
	Method    string
	// Status is that of the answer, 0 if the client did not wait for it.
	Status         int
	Sent, Received int64 // bytes of the bodies
	// Refused is the code of the error if it was the server that refused it, or the service could not be reached.
	Refused string
}

const (
	// headerTime bounds a client that dawdles over a header or a handshake. Some open connections before they need them.
	headerTime = time.Minute
	// idleTime is longer than clients keep connections, so that it is they who give them up.
	idleTime = 15 * time.Minute
	// headerBytes is what a header may have: a key of S3 has 1,024 bytes, escaped 3 times as many, and a session token several
	// KiB.
	headerBytes = 64 << 10
	// drainTime bounds the end of Run: the command has ended then, and what it has left behind is cut off.
	drainTime = 500 * time.Millisecond
)

// Server is the listener, and what it knows. Its methods may be called from several goroutines.
type Server struct {
	o          Options
	keys       *keys
	hosts      hosts
	authority  *authority.Authority
	proxies    *authority.Proxies
	listener   *loopback.Listener
	open       chan struct{} // has one for each connection
	decrypted  *handover
	http       *http.Server
	forward    *httputil.ReverseProxy
	transports *transports
	protocols  protocols
	tls        *tls.Config // has the keys of the sessions of all hosts
	checkPeers bool
	lines      lines
	clocks     clocks

	ended   chan struct{}  // closed when no more connections are accepted
	running sync.WaitGroup // connections and handlers
	ctx     context.Context
	stop    context.CancelFunc
}

// Listen binds a socket of the loopback interface and makes the authority. Requests wait in the kernel until [Server.Run]
// is called, which is also what gives the socket up.
func Listen(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		o: o, keys: newKeys(), hosts: newHosts(o.Hosts), decrypted: newHandover(), ended: make(chan struct{}), lines: lines{log: o.Log}, open: make(chan struct{}, maxOpen()),
		// Where our own user has the number of all whom the user namespace does not know, nobody can be told from others.
		checkPeers: loopback.PeersKnown && !pathsafe.Unmapped(os.Geteuid()),
	}
	var err error
	if s.proxies, err = authority.NewProxies(o.Environ); err != nil {
		return nil, err
	}
	roots, err := authority.Roots(o.Environ, o.CABundle)
	if err != nil {
		return nil, err
	}
	s.transports = newTransports(s.proxies, roots)
	s.protocols.ask = s.transports.askHTTP2
	if o.Upstream != "" { // no host of AWS is to be asked
		s.protocols.ask = func(context.Context, string, string) (bool, error) { return false, nil }
	}
	s.tls = &tls.Config{GetConfigForClient: s.configure}
	if s.authority, err = authority.New(s.domains(), time.Now()); err != nil {
		return nil, err
	}
	if s.listener, err = loopback.Listen("", o.Failed); err != nil {
		return nil, err
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.forward = s.newForward()
	s.http = s.newHTTP()
	return s, nil
}

// domains are those whose hosts the authority vouches for.
func (s *Server) domains() []string { return append(services.Domains(), s.hosts.names()...) }

// newHTTP is the one server of plain and decrypted connections.
func (s *Server) newHTTP() *http.Server {
	return &http.Server{
		Handler:                      http.HandlerFunc(s.answer),
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headerTime,
		IdleTimeout:                  idleTime,
		MaxHeaderBytes:               headerBytes,
		HTTP2:                        http2Config,
		ErrorLog:                     log.New(io.Discard, "", 0), // what clients send is not worth a line
		BaseContext:                  func(net.Listener) context.Context { return s.ctx },
		ConnContext:                  withOrigin,
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.running.Add(1)
				if s.ctx.Err() != nil { // http.Server.Close may have come too early for it
					c.Close()
				}
			case http.StateClosed, http.StateHijacked:
				s.running.Done()
			}
		},
	}
}

// Run answers requests until ctx ends, then closes the socket, lets requests under way finish for a short while, cuts off the
// rest and returns nil. It leaves no goroutine or connection. A socket that breaks is opened again.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 2)
	go func() { served <- s.http.Serve(plain{s}) }()
	go func() { served <- s.http.Serve(s.decrypted) }()
	var broken error
	left := 2
	select {
	case <-ctx.Done():
		close(s.ended) // Shutdown waits for Accept, which may wait for a connection to end
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		s.http.Shutdown(drain)
		cancel()
	case broken = <-served:
		close(s.ended)
		left--
	}
	s.stop()
	s.http.Close()
	s.listener.Close() // Serve does not take a listener that it was given after Close
	s.decrypted.Close()
	for range left {
		<-served
	}
	s.running.Wait()
	s.transports.closeIdle()
	return broken
}

// Deliver puts new credentials in place, by profile, which requests are signed with from then on; those of profiles that are not
// named stay, and the zero value takes a profile away. It touches memory only. Credentials with half of their keys are an
// error, and keep no others back.
func (s *Server) Deliver(_ context.Context, sets map[string]aws.Credentials) error {
	return s.keys.deliver(sets)
}

// Local returns the local keys of a profile: the same ones each time, without a session token or an expiry. Requests signed with
// them are signed anew with what was delivered of the profile.
func (s *Server) Local(profile string) aws.Credentials { return s.keys.localOf(profile) }

// Issue returns new local credentials of a profile, with a session token, that expire after life: a request that is signed with
// them later is refused as AWS does.
func (s *Server) Issue(profile string, life time.Duration) aws.Credentials {
	return s.keys.issue(profile, life, time.Now())
}
