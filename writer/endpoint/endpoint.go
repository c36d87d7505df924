// Package endpoint hands credentials to the command over loopback HTTP, the way the AWS SDKs already retrieve them:
//
//   - [Server] speaks the container credentials protocol (ECS, EKS Pod Identity): one GET, one token, one JSON document.
//     https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
//   - [IMDS] speaks version 2 of the EC2 instance metadata service, for clients that know nothing else.
//     https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
//
// Both answer from memory alone. Deliver puts new credentials in place and never waits for a client; a request never waits for a
// refresh, because SDKs give these addresses one or two seconds and call them while they hold a lock.
//
// The caveat: when this process is gone the port is free, and a command that outlives it may find another program there,
// possibly of another user.
package endpoint

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Options says what a [Server] or an [IMDS] answers. The zero value is usable.
type Options struct {
	// Profile is the one that Env points at, until SetProfile names another. Every delivered profile has its own URL.
	Profile string
	// Region answers the region and zone look-ups of an IMDS; "" leaves them 404, as clients expect where there is none.
	Region string
	// AllowV1 has an IMDS answer requests without an IMDS session token as well.
	AllowV1 bool
	// Port is the port that a [Server] is to have, 0 for any. Whoever names one can name the whole URL beforehand: the default
	// profile is at fixedPath then.
	Port int
	// Again is where an earlier server was, whose clients go on asking it, for a [Server] to take its place; zero for none.
	Again At
	// Notify, if not nil, is called with an error when the socket does not work, and with nil when it does again. It must not wait.
	Notify func(err error)
}

// At is where a [Server] is and what its clients send, for the next one to take its place. The token is a secret.
type At struct{ Address, Prefix, Token string }

// Server is a container credentials endpoint. Its methods may be called from several goroutines.
type Server struct {
	*store
	socket *socket
	prefix string // path of the default profile; the others are below it
	token  string
}

// Listen binds a socket of the loopback interface and makes the secrets, or takes those of o.Again. If another program has the
// address of that by now, it makes new ones: that program may have been sent the old. Requests wait in the kernel until [Server.Run] is called, which is also
// what gives the socket up.
func Listen(o Options) (*Server, error) {
	s := &Server{
		store:  newStore(containerBody, o.Profile),
		prefix: "/" + random(16),
		token:  random(32),
	}
	address, again := o.Again.Address, o.Again.valid()
	if o.Port != 0 {
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port))
	}
	if again {
		s.prefix, s.token = o.Again.Prefix, o.Again.Token
	} else if o.Port == 0 {
		address = ""
	}
	if o.Port != 0 {
		s.prefix = fixedPath
	}
	var err error
	s.socket, err = listen(address, http.HandlerFunc(s.answer), o.Notify)
	if again && o.Port == 0 && errors.Is(err, syscall.EADDRINUSE) {
		s.prefix, s.token = "/"+random(16), random(32)
		s.socket, err = listen("", http.HandlerFunc(s.answer), o.Notify)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// fixedPath is the path of the default profile where the port is given. The token is the secret.
const fixedPath = "/credentials"

// valid tells whether it is what [Server.At] returns.
func (a At) valid() bool {
	at, err := netip.ParseAddrPort(a.Address)
	hexadecimal := func(s string, n int) bool { return len(s) == 2*n && strings.Trim(s, "0123456789abcdef") == "" }
	random, slash := strings.CutPrefix(a.Prefix, "/")
	return err == nil && at.Addr().IsLoopback() && at.Port() != 0 && hexadecimal(a.Token, 32) &&
		(a.Prefix == fixedPath || slash && hexadecimal(random, 16))
}

// At returns where the server is.
func (s *Server) At() At { return At{s.socket.listener.Addr().String(), s.prefix, s.token} }

// Run answers requests until ctx ends, then closes the socket, lets answers under way finish and returns nil. It leaves no
// goroutine or connection. A socket that breaks is opened again.
func (s *Server) Run(ctx context.Context) error { return s.socket.run(ctx) }

// URL is where a profile is served, for AWS_CONTAINER_CREDENTIALS_FULL_URI: its name, escaped for a path, below the URL of Env.
// The token is the same. The default profile is there as well as at that URL.
func (s *Server) URL(profile string) string {
	return s.socket.url() + s.prefix + "/" + url.PathEscape(profile)
}

// Env is what the command needs to find the default profile here. The token is in it.
func (s *Server) Env() []string {
	return []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + s.socket.url() + s.prefix, "AWS_CONTAINER_AUTHORIZATION_TOKEN=" + s.token}
}

// Token is what a client has to send. In a file it must stand without a newline, which every SDK would send and then be
// refused for.
func (s *Server) Token() string { return s.token }

// answer is the whole protocol. The token comes before the path, so that probing paths tells a stranger nothing.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	if !allow(w, r, http.MethodGet) {
		return
	}
	sent := r.Header["Authorization"]
	if len(sent) != 1 || subtle.ConstantTimeCompare([]byte(sent[0]), []byte(s.token)) != 1 {
		refuse(w, http.StatusUnauthorized, "Unauthorized",
			"the Authorization header is not the value of AWS_CONTAINER_AUTHORIZATION_TOKEN")
		return
	}
	profile, ok := s.route(r.URL.Path)
	if !ok {
		refuse(w, http.StatusNotFound, "NotFound", "not the path of AWS_CONTAINER_CREDENTIALS_FULL_URI")
		return
	}
	s.serve(w, profile)
}

// route returns the profile that path stands for.
func (s *Server) route(path string) (profile string, ok bool) {
	rest, ok := strings.CutPrefix(path, s.prefix)
	switch {
	case !ok:
		return "", false
	case rest == "":
		return s.defaultProfile(), true
	case rest[0] != '/' || rest == "/":
		return "", false
	}
	return rest[1:], true
}

// containerBody is a document up to its Expiration, which is decided at each request. Token is there even when empty:
// botocore and the JavaScript SDK fail without the key.
func containerBody(c aws.Credentials, _ time.Time) ([]byte, error) {
	return bodyPrefix(struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		Token           string
		AccountID       string `json:"AccountId,omitempty"`
	}{c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.AccountID})
}

// random returns n random bytes in hexadecimal, which needs quoting in no shell, header or URL.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: it ends the program rather than return weak bytes
	return hex.EncodeToString(b)
}
