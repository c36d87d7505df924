package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/writer/process"
)

// timestamp is how AWS writes an instant: UTC, whole seconds. botocore parses metadata timestamps with exactly this form.
const timestamp = "2006-01-02T15:04:05Z"

// longTermLifetime is what remains of long-term keys until the expiry that is said, at each answer: botocore and the JavaScript SDK refuse a document
// without Expiration, and an hour is how often keys that a person replaced should be looked for.
const longTermLifetime = time.Hour

// store holds the current answers, by profile. Every critical section is a map access, so clients and Deliver do not wait for
// each other in any way that could be measured.
type store struct {
	encode func(c aws.Credentials, now time.Time) (prefix []byte, err error)

	mu        sync.Mutex
	profile   string               // the default one
	documents map[string]*document // a *document never changes once it is in
	reads     map[string]process.Read
}

// document is a precomputed answer.
type document struct {
	keyID     string
	accountID string
	prefix    []byte // up to the value of Expiration
	expiry    process.Window
}

func newStore(encode func(aws.Credentials, time.Time) ([]byte, error), profile string) *store {
	return &store{encode: encode, profile: profile, documents: map[string]*document{}, reads: map[string]process.Read{}}
}

// Deliver puts new credentials in place, by profile; those of profiles that are not named stay, and the zero value takes a
// profile away. It touches memory only. Credentials with half of their keys are an error, and keep no others back.
func (s *store) Deliver(_ context.Context, creds map[string]aws.Credentials) error {
	now := time.Now()
	fresh := make(map[string]*document, len(creds))
	var errs []error
	for profile, c := range creds {
		if c == (aws.Credentials{}) {
			fresh[profile] = nil
			continue
		}
		prefix, err := s.encode(c, now)
		if !c.HasKeys() {
			err = errors.New("credentials without keys")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("deliver profile %q: %w", profile, err))
			continue
		}
		d := &document{keyID: c.AccessKeyID, accountID: c.AccountID, prefix: prefix}
		if c.CanExpire {
			d.expiry = process.NewWindow(now, c.Expires)
		}
		fresh[profile] = d
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for profile, d := range fresh {
		if d != nil {
			s.documents[profile] = d
			continue
		}
		delete(s.documents, profile)
		delete(s.reads, profile)
	}
	return errors.Join(errs...)
}

// SetProfile has another profile be the one that clients get which name none.
func (s *store) SetProfile(profile string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.profile = profile
}

func (s *store) defaultProfile() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.profile
}

// current returns nil for a profile of which nothing was delivered, or that was taken away.
func (s *store) current(profile string) *document {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.documents[profile]
}

// LastRead tells which credentials of profile were fetched last, and when.
func (s *store) LastRead(profile string) process.Read {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads[profile]
}

// serve writes profile's credentials, or why there are none. Expired ones are a 503: SDKs retrieve again after one, and every one
// of them fails on a document whose Expiration has passed.
func (s *store) serve(w http.ResponseWriter, profile string) {
	d := s.current(profile)
	if d == nil {
		refuse(w, http.StatusNotFound, "ProfileNotFound", "no credentials were delivered for this profile")
		return
	}
	now := time.Now().Round(0)
	expiry, ok := d.expiry.Reported(now)
	switch {
	case !ok:
		refuse(w, http.StatusServiceUnavailable, "CredentialsExpired", "the credentials expired at "+
			d.expiry.End.UTC().Format(time.RFC3339)+" and have not been refreshed since")
		return
	case expiry.IsZero():
		expiry = now.UTC().Add(longTermLifetime)
	}
	body := make([]byte, 0, len(d.prefix)+len(timestamp)+len(`"}`))
	body = append(body, d.prefix...)
	body = expiry.AppendFormat(body, timestamp)
	body = append(body, `"}`...)
	if writeJSON(w, http.StatusOK, body) == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reads[profile] = process.Read{KeyID: d.keyID, At: now}
	}
}

// bodyPrefix encodes doc, an object with at least one member, and opens one more member: Expiration.
func bodyPrefix(doc any) ([]byte, error) {
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return append(b[:len(b)-1], `,"Expiration":"`...), nil
}
