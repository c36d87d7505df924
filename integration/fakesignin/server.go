// Package fakesignin is a server on loopback that speaks what a session of `aws login`
// needs of AWS Sign-In: CreateOAuth2Token for a refresh token and for the code that a
// browser brings back, and the page that it is sent to.
//
// It is as strict as the RFCs, and stricter than the API reference: each request needs a
// proof (DPoP, RFC 9449) by the key that the login was begun with, fresh and never seen
// before; each code and each refresh token serves once; PKCE is verified. The person at
// the browser is whoever gets the page, and always says yes.
package fakesignin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Session is whose login it is: what profiles have as login_session.
const Session = "arn:aws:iam::123456789012:user/ann"

const clientID = "arn:aws:signin:::devtools/same-device"

// Keys are a set of credentials.
type Keys struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time
}

// Call is one request in the server's log.
type Call struct {
	Grant  string // "refresh_token" or "authorization_code"
	Code   string // the error code that was answered, "" if it went well
	Reason string // why, in the server's own words
}

// Server is one sign-in service. It is safe for concurrent use.
type Server struct {
	http  *httptest.Server
	issue func() Keys

	mu      sync.Mutex // guards everything below
	codes   map[string]*code
	refresh map[string]string // JWK thumbprint of the key that it is bound to
	proofs  map[string]bool   // by jti
	fault   http.HandlerFunc
	secrets []string
	calls   []Call
}

// code is what the browser brings back.
type code struct{ redirect, challenge string }

// Start starts a server on a free loopback port, whose credentials are made by issue. Close it
// after use.
func Start(issue func() Keys) *Server {
	s := &Server{issue: issue, codes: map[string]*code{}, refresh: map[string]string{}, proofs: map[string]bool{}}
	s.http = httptest.NewUnstartedServer(s)
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.http.Start()
	return s
}

// Close stops the server, and with it the requests in flight.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// URL is the endpoint.
func (s *Server) URL() string { return s.http.URL }

// Login is the entry of the cache that a login writes.
func (s *Server) Login() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		panic(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets = append(s.secrets, string(text[31:95])) // a line of it
	keys, refresh := s.next(thumbprint(point))
	entry, err := json.Marshal(map[string]any{
		"accessToken": map[string]string{
			"accessKeyId": keys.AccessKeyID, "secretAccessKey": keys.SecretAccessKey, "sessionToken": keys.SessionToken,
			"accountId": "123456789012", "expiresAt": keys.Expires.UTC().Format("2006-01-02T15:04:05Z"),
		},
		"tokenType": "aws_sigv4", "clientId": clientID, "refreshToken": refresh, "idToken": idToken(), "dpopKey": string(text),
	})
	if err != nil {
		panic(err)
	}
	return string(entry)
}

// EndSessions makes all refresh tokens void, as the end of the login does.
func (s *Server) EndSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.refresh)
}

// SetFault has requests for a token answered by h; nil ends that.
func (s *Server) SetFault(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = h
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

// Count tells how many calls with that grant went well.
func (s *Server) Count(grant string) int {
	n := 0
	for _, c := range s.Calls() {
		if c.Grant == grant && c.Code == "" {
			n++
		}
	}
	return n
}

// next makes credentials and a refresh token that is bound to a key. The lock is held.
func (s *Server) next(thumbprint string) (Keys, string) {
	keys, refresh := s.issue(), rand.Text()+rand.Text()
	s.refresh[refresh] = thumbprint
	s.secrets = append(s.secrets, keys.SecretAccessKey, keys.SessionToken, refresh)
	return keys, refresh
}

// problem is a refusal in the words of the service.
type problem struct {
	status              int
	code, oauth, reason string
}

func denied(oauth, reason string) *problem {
	return &problem{http.StatusUnauthorized, "AccessDeniedException", oauth, reason}
}

func invalid(format string, args ...any) *problem {
	return &problem{http.StatusBadRequest, "ValidationException", "INVALID_REQUEST", fmt.Sprintf(format, args...)}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "GET /v1/authorize":
		s.authorize(w, r)
		return
	case "POST /v1/token":
	default:
		http.NotFound(w, r)
		return
	}
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	if fault != nil {
		fault(w, r)
		return
	}
	var in struct{ ClientID, GrantType, RefreshToken, Code, CodeVerifier, RedirectURI string }
	err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&in)
	w.Header().Set("Content-Type", "application/json")
	s.mu.Lock()
	defer s.mu.Unlock()
	by, p := s.proof(r)
	switch {
	case err != nil:
		p = invalid("no JSON: %v", err)
	case p != nil:
	case in.ClientID != clientID:
		p = invalid("clientId %q", in.ClientID)
	case in.GrantType == "refresh_token":
		if bound, ok := s.refresh[in.RefreshToken]; !ok {
			p = denied("TOKEN_EXPIRED", "The refresh token has expired.")
		} else if bound != by {
			p = invalid("the refresh token is bound to another key")
		}
		delete(s.refresh, in.RefreshToken)
	case in.GrantType == "authorization_code":
		c, sum := s.codes[in.Code], sha256.Sum256([]byte(in.CodeVerifier))
		delete(s.codes, in.Code)
		if c == nil || c.redirect != in.RedirectURI || c.challenge != b64.EncodeToString(sum[:]) {
			p = denied("AUTHCODE_EXPIRED", "code, redirectUri or codeVerifier is not right")
		}
	default:
		p = invalid("grantType %q", in.GrantType)
	}
	if p != nil {
		s.calls = append(s.calls, Call{in.GrantType, p.code, p.reason})
		w.Header().Set("X-Amzn-Errortype", p.code)
		w.WriteHeader(p.status)
		json.NewEncoder(w).Encode(map[string]string{"error": p.oauth, "message": p.reason})
		return
	}
	s.calls = append(s.calls, Call{Grant: in.GrantType})
	keys, refresh := s.next(by)
	out := map[string]any{
		"accessToken": map[string]string{"accessKeyId": keys.AccessKeyID, "secretAccessKey": keys.SecretAccessKey, "sessionToken": keys.SessionToken},
		"tokenType":   "aws_sigv4", "expiresIn": int(time.Until(keys.Expires).Round(time.Second) / time.Second), "refreshToken": refresh,
	}
	if in.GrantType == "authorization_code" {
		out["idToken"] = idToken()
	}
	json.NewEncoder(w).Encode(out)
}

// authorize is the page to which a browser is sent.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || back.Hostname() != "127.0.0.1" || q.Get("client_id") != clientID || q.Get("response_type") != "code" ||
		q.Get("code_challenge_method") != "SHA-256" || len(q.Get("code_challenge")) != 43 || q.Get("state") == "" {
		http.Error(w, "not the authorization code grant with PKCE", http.StatusBadRequest)
		return
	}
	text := rand.Text()
	s.mu.Lock()
	s.codes[text] = &code{q.Get("redirect_uri"), q.Get("code_challenge")}
	s.mu.Unlock()
	back.RawQuery = url.Values{"state": {q.Get("state")}, "code": {text}}.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// idToken says who has logged in, and when.
func idToken() string {
	claims := fmt.Sprintf(`{"sub":%q,"iat":%d}`, Session, time.Now().Unix())
	return b64.EncodeToString([]byte(`{"alg":"none"}`)) + "." + b64.EncodeToString([]byte(claims)) + ".x"
}

var b64 = base64.RawURLEncoding.Strict()
