// Package fakesso is a server on loopback that speaks what a login to AWS IAM
// Identity Center needs: SSO OIDC (RegisterClient, StartDeviceAuthorization,
// CreateToken and the page that a browser is sent to) and the portal
// (GetRoleCredentials, Logout).
//
// It is as strict as the API reference: clients must be registered for the grant
// they use, codes serve once, PKCE is verified, polling too fast is refused, access
// tokens expire on time and refresh tokens with their session. The person at the
// browser is whoever gets the page: GET means yes, unless [Server.Refuse] was called.
package fakesso

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options configure a Server.
type Options struct {
	// Token is how long access tokens live; 0 is an hour.
	Token time.Duration
	// Registration is how long clients are known; 0 is 90 days.
	Registration time.Duration
	// Rotate makes a refresh token serve once: with each use comes another one.
	Rotate bool
	// Interval is how many seconds are asked for between two polls of a device; 0 is 1.
	Interval int
	// Issue makes a role's credentials.
	Issue func(account, role string) Keys
}

// Keys are the credentials of a role.
type Keys struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time
}

// Call is one request in the server's log.
type Call struct {
	Action string // such as "CreateToken refresh_token" or "GetRoleCredentials"
	Code   string // the error code that was answered, "" if it went well
	Reason string // why, in the server's own words
}

// Server is one portal. It is safe for concurrent use.
type Server struct {
	http    *httptest.Server
	closing chan struct{}
	opts    Options

	mu      sync.Mutex // guards everything below
	clients map[string]*client
	devices map[string]*device // by device code
	codes   map[string]*code
	tokens  map[string]*token // by access token
	refresh map[string]*session
	refuse  bool
	faults  []Fault
	secrets []string
	calls   []Call
}

// client is one that has registered.
type client struct {
	id, secret     string
	grants, scopes []string
	redirects      []string
	issuer         string
	ends           time.Time
}

// session is a person's login. Its end makes its tokens void.
type session struct {
	client string
	over   bool
}

type token struct {
	session *session
	ends    time.Time
}

// Start starts a server on a free loopback port. Close it after use.
func Start(o Options) *Server {
	if o.Token == 0 {
		o.Token = time.Hour
	}
	if o.Registration == 0 {
		o.Registration = 90 * 24 * time.Hour
	}
	if o.Interval == 0 {
		o.Interval = 1
	}
	s := &Server{
		closing: make(chan struct{}), opts: o,
		clients: map[string]*client{}, devices: map[string]*device{}, codes: map[string]*code{},
		tokens: map[string]*token{}, refresh: map[string]*session{},
	}
	s.http = httptest.NewUnstartedServer(s)
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.http.Start()
	return s
}

// Close stops the server, and with it the requests in flight.
func (s *Server) Close() {
	close(s.closing)
	s.http.CloseClientConnections()
	s.http.Close()
}

// URL is the endpoint of both services.
func (s *Server) URL() string { return s.http.URL }

// StartURL is what profiles have as sso_start_url. It is a name only, one of AWS's
// as its CLI insists on; nobody goes there.
const StartURL = "https://example.awsapps.com/start"

// EndSessions makes all tokens void, as an administrator can.
func (s *Server) EndSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		t.session.over = true
	}
	for _, session := range s.refresh {
		session.over = true
	}
}

// Revoke makes the access tokens void that there are, and not their sessions.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Refuse has the person at the browser say no from now on.
func (s *Server) Refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = true
}

// Secrets returns everything that the server handed out and that no log may hold.
func (s *Server) Secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.secrets)
}

// Calls returns the log so far, oldest first.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Count tells how many calls of action went well.
func (s *Server) Count(action string) int {
	n := 0
	for _, c := range s.Calls() {
		if c.Action == action && c.Code == "" {
			n++
		}
	}
	return n
}

// secret makes one up. The lock is held.
func (s *Server) secret(prefix string) string {
	text := prefix + rand.Text() + rand.Text()
	s.secrets = append(s.secrets, text)
	return text
}

// problem is a refusal in the words of the service.
type problem struct {
	status int
	code   string // of the SDKs, as "InvalidGrantException"
	reason string
}

func (p *problem) Error() string { return p.code + ": " + p.reason }

func invalid(code, format string, args ...any) error {
	return &problem{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	switch r.URL.Path {
	case "/authorize":
		s.authorize(w, r)
		return
	case "/device":
		s.confirm(w, r)
		return
	}
	action, answer := s.action(r, body)
	if action == "" {
		http.NotFound(w, r)
		return
	}
	if s.interfere(w, r, action) {
		return
	}
	s.mu.Lock()
	out, err := answer()
	call := Call{Action: action}
	var p *problem
	if err != nil {
		p = err.(*problem)
		call.Code, call.Reason = p.code, p.reason
	}
	s.calls = append(s.calls, call)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if p == nil {
		json.NewEncoder(w).Encode(out)
		return
	}
	w.Header().Set("X-Amzn-Errortype", p.code)
	w.WriteHeader(p.status)
	if strings.HasPrefix(action, "CreateToken") || strings.HasPrefix(action, "Register") || strings.HasPrefix(action, "Start") {
		json.NewEncoder(w).Encode(map[string]string{"error": oauth(p.code), "error_description": p.reason})
		return
	}
	json.NewEncoder(w).Encode(map[string]string{"message": p.reason, "__type": "com.amazonaws.switchboard.portal#" + p.code})
}

// oauth is the code of RFC 6749 and RFC 8628 for that of the SDKs: InvalidGrantException
// is invalid_grant.
func oauth(code string) string {
	var b strings.Builder
	for i, r := range strings.TrimSuffix(code, "Exception") {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}

// action says what a request asks for, and how it is answered, with the lock held.
func (s *Server) action(r *http.Request, body []byte) (string, func() (any, error)) {
	var in map[string]any
	if len(body) > 0 && json.Unmarshal(body, &in) != nil {
		return "", nil
	}
	switch r.Method + " " + r.URL.Path {
	case "POST /client/register":
		return "RegisterClient", func() (any, error) { return s.register(in) }
	case "POST /device_authorization":
		return "StartDeviceAuthorization", func() (any, error) { return s.start(in) }
	case "POST /token":
		grant := text(in, "grantType")
		return "CreateToken " + strings.TrimPrefix(grant, "urn:ietf:params:oauth:grant-type:"), func() (any, error) { return s.createToken(grant, in) }
	case "GET /federation/credentials":
		return "GetRoleCredentials", func() (any, error) { return s.roleCredentials(r) }
	case "POST /logout":
		return "Logout", func() (any, error) { return s.logout(r) }
	}
	return "", nil
}

func text(in map[string]any, key string) string {
	s, _ := in[key].(string)
	return s
}

func texts(in map[string]any, key string) []string {
	var out []string
	list, _ := in[key].([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
