package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
)

// ssoToken is an entry of ~/.aws/sso/cache, which the AWS CLI and all SDKs share:
// what a login has brought, and the client that it was brought to.
type ssoToken struct {
	StartURL, Region       string
	Access, Refresh        string // Refresh is "" if it cannot be renewed
	Ends                   time.Time
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

// lives says whether the access token can still be used.
func (t *ssoToken) lives(now time.Time) bool { return now.Before(t.Ends) }

// renewable says whether there is what a new access token can be had with.
func (t *ssoToken) renewable(now time.Time) bool {
	return t.Refresh != "" && t.ClientID != "" && t.ClientSecret != "" && (t.Registered.IsZero() || now.Before(t.Registered))
}

// end is the latest time up to which the token is of use without a person. Of one
// that is renewed it is the end of the client's registration: how long AWS renews
// it is a setting of the organization's that no one is told.
func (t *ssoToken) end(now time.Time) time.Time {
	if t.renewable(now) {
		return t.Registered
	}
	return t.Ends
}

func (t *ssoToken) id() string           { return t.Access }
func (t *ssoToken) refreshToken() string { return t.Refresh }
func (t *ssoToken) secrets() []string    { return []string{t.Access, t.Refresh, t.ClientSecret} }

func readToken(path string) (*ssoToken, error) { return readEntry(path, parseToken) }

// parseToken reads an entry. Its errors hold nothing of what is in it.
func parseToken(text []byte) (*ssoToken, error) {
	t := &ssoToken{}
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
	if t.Ends, err = parseUTC(ends); err != nil {
		return nil, fmt.Errorf("has no time in %s", keyEnds)
	}
	t.Registered, _ = parseUTC(registered)
	return t, nil
}

// parseUTC also reads what versions of the AWS CLI before 2.9 wrote.
func parseUTC(s string) (time.Time, error) {
	if rest, ok := strings.CutSuffix(s, "UTC"); ok {
		s = rest + "Z"
	}
	return parseTime(s)
}

// format is the text of an entry, byte for byte as the AWS CLI writes it, with
// what other tools have put there at its end.
func (t *ssoToken) format() []byte {
	var o object
	o.text(keyStartURL, t.StartURL)
	o.text(keyRegion, t.Region)
	o.text(keyAccess, t.Access)
	o.moment(keyEnds, t.Ends)
	o.text(keyClientID, t.ClientID)
	o.text(keyClientSecret, t.ClientSecret)
	o.moment(keyRegistered, t.Registered)
	o.text(keyRefresh, t.Refresh)
	o.rest(t.other)
	return o.bytes()
}

// tokenPath is where the entry of a session is: named after the session, in the
// older form after the start URL.
func (e environ) tokenPath(key string) (string, error) {
	path, err := ssocreds.StandardCachedTokenFilepath(key)
	if err != nil {
		return "", errors.New("no home directory is known for the cache of SSO tokens")
	}
	return e.below(path), nil
}
