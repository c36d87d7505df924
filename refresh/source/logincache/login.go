package logincache

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// LoginSession is an entry of ~/.aws/login/cache, which `aws login` makes, and which the
// AWS CLI and all SDKs share: credentials, and what the next ones can be had with.
type LoginSession struct {
	KeyID, Secret, Session string
	Account                string
	Expires                time.Time // of the credentials
	ClientID, Refresh      string
	Key                    string // PEM of the key that Refresh is bound to (DPoP)

	other, otherAccess map[string]json.RawMessage // what else there is, beside and in accessToken
}

// The keys, in the order in which the AWS CLI writes them:
// awscli/customizations/login/utils.py. Some are those of an SSO token.
const (
	keyKeyID     = "accessKeyId"
	keySecret    = "secretAccessKey"
	keySession   = "sessionToken"
	keyAccount   = "accountId"
	keyTokenType = "tokenType"
	keyIDToken   = "idToken"
	keyDPoP      = "dpopKey"
)

// UsableAt says whether the credentials have not expired by then.
func (t *LoginSession) UsableAt(now time.Time) bool { return now.Before(t.Expires) }

// Renewable says whether there is what new credentials can be had with.
func (t *LoginSession) Renewable() bool { return t.Refresh != "" && t.ClientID != "" && t.Key != "" }

func (t *LoginSession) id() string           { return t.KeyID }
func (t *LoginSession) refreshToken() string { return t.Refresh }

// Secrets are what must not be shown of it.
func (t *LoginSession) Secrets() []string { return []string{t.Secret, t.Session, t.Refresh, t.Key} }

// Credentials are those of the entry; Expires is on the clock of this machine.
func (t *LoginSession) Credentials() aws.Credentials {
	return aws.Credentials{
		AccessKeyID: t.KeyID, SecretAccessKey: t.Secret, SessionToken: t.Session, AccountID: t.Account,
		CanExpire: true, Expires: t.Expires, Source: "LoginProvider",
	}
}

// ReadLogin reads the entry at path.
func ReadLogin(path string) (*LoginSession, error) { return readEntry(path, ParseLogin) }

// ParseLogin reads the text of an entry. Its errors hold nothing of what is in it.
func ParseLogin(text []byte) (*LoginSession, error) {
	t := &LoginSession{}
	if json.Unmarshal(text, &t.other) != nil || json.Unmarshal(t.other[keyAccess], &t.otherAccess) != nil {
		return nil, errors.New("is not the JSON of a login session")
	}
	delete(t.other, keyAccess)
	if err := takeTexts(t.other, map[string]*string{keyClientID: &t.ClientID, keyRefresh: &t.Refresh, keyDPoP: &t.Key}); err != nil {
		return nil, err
	}
	var ends string
	if err := takeTexts(t.otherAccess, map[string]*string{
		keyKeyID: &t.KeyID, keySecret: &t.Secret, keySession: &t.Session, keyAccount: &t.Account, keyEnds: &ends,
	}); err != nil {
		return nil, err
	}
	if t.KeyID == "" || t.Secret == "" || t.Session == "" {
		return nil, errors.New("has no complete credentials")
	}
	var err error
	if t.Expires, err = parseTime(ends); err != nil {
		return nil, fmt.Errorf("has no time in %s", keyEnds)
	}
	return t, nil
}

// format is the text of an entry, as the AWS CLI writes it, with what other tools have
// put there at its end.
func (t *LoginSession) format() []byte {
	var access, all object
	access.text(keyKeyID, t.KeyID)
	access.text(keySecret, t.Secret)
	access.text(keySession, t.Session)
	access.text(keyAccount, t.Account)
	access.moment(keyEnds, t.Expires)
	access.rest(t.otherAccess)
	other := maps.Clone(t.other)
	theirs := func(key string) {
		if value, ok := other[key]; ok {
			all.add(key, value)
			delete(other, key)
		}
	}
	all.add(keyAccess, access.bytes())
	theirs(keyTokenType)
	all.text(keyClientID, t.ClientID)
	all.text(keyRefresh, t.Refresh)
	theirs(keyIDToken)
	all.text(keyDPoP, t.Key)
	all.rest(other)
	return all.bytes()
}

// ProofKey reads the key that the refresh token is bound to. Its error holds nothing of it.
func (t *LoginSession) ProofKey() (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(t.Key))
	if block == nil {
		return nil, fmt.Errorf("%s is no PEM", keyDPoP)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%s is no private key on the curve P-256", keyDPoP)
	}
	return key, nil
}

// Began is when a person logged in, on the server's clock: the time of the ID token,
// which no renewal replaces. It is zero if that is not known.
func (t *LoginSession) Began() time.Time {
	var token string
	json.Unmarshal(t.other[keyIDToken], &token)
	_, rest, _ := strings.Cut(token, ".")
	claims, _, _ := strings.Cut(rest, ".")
	text, _ := base64.RawURLEncoding.DecodeString(strings.TrimRight(claims, "="))
	var c struct {
		Issued int64 `json:"iat"`
	}
	if json.Unmarshal(text, &c) != nil || c.Issued <= 0 {
		return time.Time{}
	}
	return time.Unix(c.Issued, 0)
}
