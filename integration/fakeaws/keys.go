package fakeaws

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"time"
)

// Credentials are credentials as a client holds them. Expires is on the server's
// clock, zero for credentials that never expire.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	Expires         time.Time
}

// identity is what the server remembers of credentials; they are never forgotten, so
// that an expired one is told from an unknown one.
type identity struct {
	Credentials
	arn string
}

// Issue issues credentials for arn with lifetime life (0: for ever, without a
// session token), as if a client had asked for it.
func (s *Server) Issue(arn string, life time.Duration) Credentials {
	s.mu.Lock()
	defer s.mu.Unlock()
	prefix := "ASIA"
	if life == 0 {
		prefix = "AKIA"
	}
	return s.issue(prefix, arn, life)
}

// IssueWebIdentity hands out a token for AssumeRoleWithWebIdentity.
func (s *Server) IssueWebIdentity(life time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := random(48)
	s.tokens[t] = s.now().Add(life)
	s.secrets = append(s.secrets, t)
	return t
}

// Expiry returns when the credentials of that key id expire on the server's clock, and
// false if the server never issued it.
func (s *Server) Expiry(keyID string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.keys[keyID]
	if !ok {
		return time.Time{}, false
	}
	return id.Expires, true
}

// SetExpiry lets the credentials of that key id expire at another time on the server's clock
// than the one that it was issued with.
func (s *Server) SetExpiry(keyID string, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, ok := s.keys[keyID]; ok {
		other := *id // requests are being judged by this one
		other.Expires = t
		s.keys[keyID] = &other
	}
}

// Issued tells whether the three parts are of one set of credentials that the server issued. A
// reader that got parts of two sets of credentials, or a cut one, has something else.
func (s *Server) Issued(keyID, secret, token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.keys[keyID]
	return ok && id.SecretAccessKey == secret && id.SessionToken == token
}

func (s *Server) issue(prefix, arn string, life time.Duration) Credentials {
	c := Credentials{
		AccessKeyID:     prefix + rand.Text()[:16],
		SecretAccessKey: random(30),
	}
	s.secrets = append(s.secrets, c.SecretAccessKey)
	if life > 0 {
		c.SessionToken = random(180)
		// Whole seconds: that is what the answer can say, and the judge must
		// not be more generous than the answer.
		c.Expires = s.now().Add(life).Truncate(time.Second)
		s.secrets = append(s.secrets, c.SessionToken)
	}
	s.keys[c.AccessKeyID] = &identity{Credentials: c, arn: arn}
	return c
}

// random returns n random bytes in base64, which has the '+' and '/' that real
// secrets have and that careless quoting loses.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

// verdict is why a request is refused, apart from how each protocol says so.
type verdict int

const (
	accepted     verdict = iota
	unsigned             // no signature, or not one of Signature Version 4
	unknownKey           // a key id that was never issued
	wrongToken           // the token is not the one of that key id: a mixed set
	badSignature         // wrong secret, or the request was changed on its way
	skewed               // signed more than 15 minutes from the server's time
	expired
	denied
)

// late is how much later than it was signed a request may come and still be judged by
// when it was signed: it is the machine that is slow then, and not the client.
const late = time.Minute

// judge decides on one request whose body has been read.
func (s *Server) judge(r *signedRequest) (*identity, verdict, string) {
	if r == nil {
		return nil, unsigned, "no signature of version 4"
	}
	s.mu.Lock()
	id, now := s.keys[r.keyID], s.now()
	s.mu.Unlock()
	if id == nil {
		return nil, unknownKey, "key id was never issued"
	}
	if subtle.ConstantTimeCompare([]byte(r.token), []byte(id.SessionToken)) != 1 {
		return nil, wrongToken, "session token is not the one of this key id"
	}
	if why := r.verify(id.SecretAccessKey); why != "" {
		return nil, badSignature, why
	}
	d := now.Sub(r.date)
	if r.presigned > 0 && d > r.presigned {
		return nil, denied, "the URL expired " + (d - r.presigned).Round(time.Second).String() + " ago"
	}
	if d > 15*time.Minute && r.presigned == 0 || d < -15*time.Minute {
		return nil, skewed, "signed " + d.Round(time.Second).String() + " before the server's time"
	}
	if d > 0 && d < late && r.presigned == 0 {
		now = r.date
	}
	if !id.Expires.IsZero() && !now.Before(id.Expires) {
		return nil, expired, "expired " + now.Sub(id.Expires).Round(time.Millisecond).String() + " ago"
	}
	return id, accepted, ""
}
