package logincache

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// SSOToken is an entry of ~/.aws/sso/cache, which the AWS CLI and all SDKs share:
// what a login has brought, and the client that it was brought to.
type SSOToken struct {
	StartURL, Region       string
	Access, Refresh        string // Refresh is "" if it cannot be renewed
	Expires                time.Time
	ClientID, ClientSecret string
	Registered             time.Time // when the client's registration ends; zero if that is not known

	other map[string]json.RawMessage // what other tools have put there
}

// The keys, in the order in which the AWS CLI writes them: awscli/botocore/tokens.py.
const (
	keyStartURL     = "startUrl"
	keyRegion       = "region"
	keyAccess       = "accessToken"
	keyEnds         = "expiresAt"
	keyClientID     = "clientId"
	keyClientSecret = "clientSecret"
	keyRegistered   = "registrationExpiresAt"
	keyRefresh      = "refreshToken"
)

// UsableAt says whether the access token has not expired by then.
func (t *SSOToken) UsableAt(now time.Time) bool { return now.Before(t.Expires) }

// Renewable says whether there is what a new access token can be had with.
func (t *SSOToken) Renewable(now time.Time) bool {
	return t.Refresh != "" && t.ClientID != "" && t.ClientSecret != "" && (t.Registered.IsZero() || now.Before(t.Registered))
}

// LatestExpiry is the latest time up to which the token is of use without a person. Of one
// that is renewed it is the end of the client's registration: how long AWS renews
// it is a setting of the organization's that no one is told.
func (t *SSOToken) LatestExpiry(now time.Time) time.Time {
	if t.Renewable(now) {
		return t.Registered
	}
	return t.Expires
}

func (t *SSOToken) id() string           { return t.Access }
func (t *SSOToken) refreshToken() string { return t.Refresh }

// Secrets are what must not be shown of it.
func (t *SSOToken) Secrets() []string { return []string{t.Access, t.Refresh, t.ClientSecret} }

// ReadSSO reads the entry at path.
func ReadSSO(path string) (*SSOToken, error) { return readEntry(path, ParseSSO) }

// ParseSSO reads the text of an entry. Its errors hold nothing of what is in it.
func ParseSSO(text []byte) (*SSOToken, error) {
	t := &SSOToken{}
	if json.Unmarshal(text, &t.other) != nil {
		return nil, errors.New("is not the JSON of an SSO token")
	}
	var ends, registered string
	if err := takeTexts(t.other, map[string]*string{
		keyStartURL: &t.StartURL, keyRegion: &t.Region, keyAccess: &t.Access, keyRefresh: &t.Refresh,
		keyEnds: &ends, keyClientID: &t.ClientID, keyClientSecret: &t.ClientSecret, keyRegistered: &registered,
	}); err != nil {
		return nil, err
	}
	if t.Access == "" {
		return nil, fmt.Errorf("has no %s", keyAccess)
	}
	var err error
	if t.Expires, err = parseTime(ends); err != nil {
		return nil, fmt.Errorf("has no time in %s", keyEnds)
	}
	t.Registered, _ = parseTime(registered)
	return t, nil
}

// format is the text of an entry, byte for byte as the AWS CLI writes it, with
// what other tools have put there at its end.
func (t *SSOToken) format() []byte {
	var o object
	o.text(keyStartURL, t.StartURL)
	o.text(keyRegion, t.Region)
	o.text(keyAccess, t.Access)
	o.moment(keyEnds, t.Expires)
	o.text(keyClientID, t.ClientID)
	o.text(keyClientSecret, t.ClientSecret)
	o.moment(keyRegistered, t.Registered)
	o.text(keyRefresh, t.Refresh)
	o.rest(t.other)
	return o.bytes()
}

// Write replaces the entry at path.
func (t *SSOToken) Write(u User, path string) error { return u.write(path, t.format()) }
