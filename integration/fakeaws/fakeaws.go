// Package fakeaws is a server on loopback that judges credentials as AWS does,
// for the acceptance tests. It speaks enough of STS (query protocol), DynamoDB
// (JSON) and S3 (REST) for real clients to make calls, recomputes the Signature
// Version 4 of every request, and refuses unknown, mixed, badly signed and
// expired credentials in the words of the protocol that was used.
//
// Credentials live as long as the test says, seconds if need be, which no server
// of AWS's would do. Every call is logged, accepted or not: tests assert on the
// server's log, since a client may hide a refusal behind a retry.
package fakeaws

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Account is the account number in every ARN that the server makes up itself.
const Account = "123456789012"

// Options configure a Server.
type Options struct {
	// Life is how long an issued set lives, whatever DurationSeconds asked for.
	// 0 means as long as asked, or an hour.
	Life time.Duration
	// ClockOffset is how far the server's clock is ahead of this machine's.
	ClockOffset time.Duration
	// Hold is how long the answer to each action is held back once the call has
	// been judged, so that a transfer of small objects takes as long as one of
	// big ones. HTTP/1.1 clients notice nothing else.
	Hold map[string]time.Duration
}

// Server is one AWS-like server. It is safe for concurrent use.
type Server struct {
	listener net.Listener
	http     *http.Server
	served   chan struct{}
	closing  chan struct{} // closed by Close: releases black-holed requests

	bootstrap Credentials
	holds     map[string]time.Duration

	mu      sync.Mutex // guards everything below
	also    []*http.Server
	life    time.Duration
	offset  time.Duration
	keys    map[string]*identity
	tokens  map[string]time.Time // web identity tokens and when they end
	secrets []string
	faults  []Fault
	changed chan struct{} // closed and replaced by SetFaults
	calls   []Call
	objects map[string][]byte
	uploads map[string]*upload
}

// Listen starts a server on a free loopback port. Close it after use.
func Listen(o Options) (*Server, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &Server{
		listener: l,
		served:   make(chan struct{}),
		closing:  make(chan struct{}),
		holds:    o.Hold,
		life:     o.Life,
		offset:   o.ClockOffset,
		keys:     make(map[string]*identity),
		tokens:   make(map[string]time.Time),
		changed:  make(chan struct{}),
		objects:  make(map[string][]byte),
		uploads:  make(map[string]*upload),
	}
	s.bootstrap = s.issue("AKIA", fmt.Sprintf("arn:aws:iam::%s:user/ops", Account), 0)
	s.http = &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		defer close(s.served)
		s.http.Serve(l)
	}()
	return s, nil
}

// Close stops the server, requests in flight included, and waits for it.
func (s *Server) Close() {
	close(s.closing)
	s.mu.Lock()
	servers := append([]*http.Server{s.http}, s.also...)
	s.mu.Unlock()
	for _, server := range servers {
		server.Close()
	}
	<-s.served
	// Handlers outlive http.Server.Close; Shutdown only returns without them.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, server := range servers {
		server.Shutdown(ctx)
	}
}

// URL is the endpoint of every service, without a slash at its end.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Bootstrap is credentials without session token and expiry, as of a user: what a
// source starts from.
func (s *Server) Bootstrap() Credentials { return s.bootstrap }

// Now is the time on the server's clock.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

func (s *Server) now() time.Time { return time.Now().Add(s.offset).Round(0) }

// SetLife changes the lifetime of credentials issued from now on.
func (s *Server) SetLife(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = d
}

// SetClockOffset moves the server's clock to that much ahead of this machine's.
// Credentials that were issued before keep their expiry on the server's clock.
func (s *Server) SetClockOffset(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset = d
}

// Secrets returns every secret key, session token and web identity token that
// the server ever handed out: what no log may hold.
func (s *Server) Secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.secrets)
}

// Call is one request in the server's log.
type Call struct {
	Time     time.Time // on this machine's clock
	Service  string    // "sts", "dynamodb" or "s3"
	Action   string    // such as "AssumeRole", "ListTables", "PutObject"
	KeyID    string    // of the signature, "" if there was none
	Accepted bool
	Code     string              // the error code that was answered, "" if accepted
	Reason   string              // why, in the server's own words
	Params   map[string][]string // what an STS call asked for, as sent
	Agent    string              // the client's User-Agent
	Proto    string              // "HTTP/1.1" or "HTTP/2.0"
	Host     string
	URI      string // path and query as they came
	Payload  string // X-Amz-Content-Sha256 as it came, "" if there was none
}

// String tells the call in one line, for a test's failure message.
func (c Call) String() string {
	verdict := "accepted"
	if !c.Accepted {
		verdict = fmt.Sprintf("refused %s (%s)", c.Code, c.Reason)
	}
	return fmt.Sprintf("%s %s:%s %s %s", c.Time.Format("15:04:05.000"), c.Service, c.Action, c.KeyID, verdict)
}

// Calls returns the log so far, oldest first. A call is in it before its answer
// is on the wire.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *Server) record(c Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Time = time.Now()
	s.calls = append(s.calls, c)
}
