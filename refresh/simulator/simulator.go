// Package simulator is a server on loopback that speaks enough of STS, and just
// enough of every other AWS service, to show credentials being rotated on a
// machine with no AWS account. It exists for `brs-exec demo` and
// `brs-exec rehearse --simulate` alone.
//
// It is a simulator: it hands credentials to whoever knows its bootstrap key, for
// any role, and any call that is signed with credentials that have not expired
// succeeds with an empty response. Of all that AWS checks (policies, trust, parameters,
// the existence of anything) it checks nothing but signature, token and expiry.
package simulator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Account is the account that everything belongs to.
const Account = "000000000000"

// Call is one request, as it was checked.
type Call struct {
	Time    time.Time
	Service string // sts, s3, dynamodb, … as in the signature; "" if there was none
	Action  string // AssumeRole, ListTables, GET /bucket, …
	App     string // how the client's application calls itself in its User-Agent, "" if it does not
	KeyID   string // access key id that it was signed with
	Number  int    // which credentials those are, counted from 1; 0 for the bootstrap credentials and for unknown ones
	Refused string // AWS's error code, "" if it was accepted
	Issued  int    // number of the credentials that it issued, 0 for none
}

// Server issues credentials and checks calls. Make it with [Listen].
type Server struct {
	lifetime time.Duration
	onCall   func(Call)
	listener net.Listener

	mu     sync.Mutex
	issued []principal // by number; 0 is for the bootstrap credentials
}

// principal is who signs with these credentials.
type principal struct {
	aws.Credentials
	arn string
}

// Listen opens a port on 127.0.0.1. Credentials expire after lifetime, rounded down to the
// whole second that the protocol can say. onCall, if not nil, is called for each request
// before the response, from several goroutines.
func Listen(lifetime time.Duration, onCall func(Call)) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if onCall == nil {
		onCall = func(Call) {}
	}
	return &Server{lifetime: lifetime, onCall: onCall, listener: l, issued: []principal{{
		aws.Credentials{AccessKeyID: "AKIASIMULATOR0000000", SecretAccessKey: random(40), Source: "simulator"},
		"arn:aws:iam::" + Account + ":user/bootstrap",
	}}}, nil
}

// URL is what AWS_ENDPOINT_URL must be for clients to come here.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Bootstrap returns credentials that do not expire, for the first call.
func (s *Server) Bootstrap() aws.Credentials { return s.issued[0].Credentials }

// Run serves until ctx ends, and then returns nil. It must be called once.
func (s *Server) Run(ctx context.Context) error {
	srv := &http.Server{Handler: s, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	err := srv.Serve(s.listener)
	srv.Close()
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

// ServeHTTP checks one request and responds.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now().Round(0)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8<<20))
	if err != nil {
		return // gone, or too long: the connection is closed
	}
	form, _ := url.ParseQuery(string(body)) // what is no form has no Action
	sig := signatureOf(r)
	c := Call{Time: now, Service: sig.service, Action: action(r, form), App: app(r.UserAgent()), KeyID: sig.keyID}
	number, refusal := s.check(r, body, sig, now)
	c.Number = number
	var to principal
	switch {
	case refusal != nil:
		c.Refused = refusal.code
	case c.Service == "sts" && c.Action == "AssumeRole":
		to, c.Issued = s.issue(form.Get("RoleArn"), now)
	}
	s.onCall(c)
	w.Header().Set("X-Amzn-Requestid", fmt.Sprintf("simulator-%d", now.UnixNano()))
	switch {
	case refusal != nil:
		refusal.write(w, r, c)
	case c.Issued > 0:
		writeAssumeRole(w, to)
	default:
		s.writeDone(w, r, c)
	}
}

// action says what a request asks for, in the three manners that AWS has.
func action(r *http.Request, form url.Values) string {
	if _, op, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return op
	}
	if a := form.Get("Action"); a != "" {
		return a
	}
	if a := r.URL.Query().Get("Action"); a != "" {
		return a
	}
	return r.Method + " " + r.URL.Path
}

// app finds what SDKs take from AWS_SDK_UA_APP_ID and its like.
func app(agent string) string {
	for word := range strings.FieldsSeq(agent) {
		if name, ok := strings.CutPrefix(word, "app/"); ok {
			return name
		}
	}
	return ""
}

// issue makes the next credentials.
func (s *Server) issue(role string, now time.Time) (principal, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.issued)
	c := principal{
		aws.Credentials{
			AccessKeyID:     fmt.Sprintf("ASIASIMULATOR%07d", n),
			SecretAccessKey: random(40),
			SessionToken:    random(200),
			CanExpire:       true,
			Expires:         now.Add(s.lifetime).UTC().Truncate(time.Second),
		},
		fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/session-%d", Account, role[strings.LastIndexByte(role, '/')+1:], n),
	}
	s.issued = append(s.issued, c)
	return c, n
}

// find returns credentials by their access key id, and their number.
func (s *Server) find(keyID string) (principal, int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, c := range s.issued {
		if c.AccessKeyID == keyID {
			return c, n, true
		}
	}
	return principal{}, 0, false
}

func random(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(rand.Text())
	}
	return b.String()[:n]
}
