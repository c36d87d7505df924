package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The errors of this file hold nothing of what was parsed: any part of a
// command's output may be a secret.

var (
	errNoKeys  = errors.New("prints neither JSON with credentials nor lines such as AWS_ACCESS_KEY_ID=…")
	errTime    = errors.New("prints an expiry that is not a time such as 2006-01-02T15:04:05Z")
	errVersion = errors.New("prints a credential_process Version other than 1")
	errBadKeys = errors.New("prints an access key, secret or token with a space or control character in it")
)

// parseOutput reads what a command printed. now is when it did, for answers that
// tell a life rather than an end.
func parseOutput(out []byte, now time.Time) (aws.Credentials, error) {
	out = bytes.TrimSpace(bytes.TrimPrefix(out, []byte("\xef\xbb\xbf")))
	parse := parseLines
	if bytes.HasPrefix(out, []byte("{")) {
		parse = parseJSON
	}
	c, err := parse(out, now)
	switch {
	case err != nil:
		return aws.Credentials{}, err
	case c.AccessKeyID == "" && c.SecretAccessKey == "":
		return aws.Credentials{}, errNoKeys
	case c.AccessKeyID == "":
		return aws.Credentials{}, errors.New("prints no access key id")
	case c.SecretAccessKey == "":
		return aws.Credentials{}, errors.New("prints no secret access key")
	case strings.ContainsFunc(c.AccessKeyID+c.SecretAccessKey+c.SessionToken, unprintable):
		return aws.Credentials{}, errBadKeys
	}
	c.Source = "Command"
	return c, nil
}

func unprintable(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }

// keys are a set in JSON. Names are matched without regard to case, so that IoT's
// and SSO's accessKeyId are the same.
type keys struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      moment
	AccountID       string `json:"AccountId"`
}

type answer struct {
	keys                         // credential_process: docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
	Version *int                 //
	STS     *keys                `json:"Credentials"`     // aws sts assume-role, get-session-token, …
	SSO     *keys                `json:"roleCredentials"` // aws sso get-role-credentials
	Vault   *vault               `json:"data"`            // vault read -format=json aws/sts/…: developer.hashicorp.com/vault/api-docs/secret/aws
	Lease   float64              `json:"lease_duration"`  // of Vault, seconds
	User    struct{ Arn string } `json:"AssumedRoleUser"`
}

type vault struct {
	AccessKey     string `json:"access_key"`
	SecretKey     string `json:"secret_key"`
	SessionToken  string `json:"session_token"`
	SecurityToken string `json:"security_token"` // its older name
}

func parseJSON(out []byte, now time.Time) (aws.Credentials, error) {
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		var syntax *json.SyntaxError
		switch {
		case errors.Is(err, errTime):
			return aws.Credentials{}, errTime
		case errors.As(err, &syntax):
			return aws.Credentials{}, fmt.Errorf("prints broken JSON (at byte %d of %d)", syntax.Offset, len(out))
		}
		return aws.Credentials{}, errors.New("prints JSON with a value of the wrong type")
	}
	if a.Version != nil && *a.Version != 1 {
		return aws.Credentials{}, errVersion
	}
	k := a.keys
	switch {
	case a.STS != nil:
		k = *a.STS
		k.AccountID = account(a.User.Arn)
	case a.SSO != nil:
		k = *a.SSO
	case a.Vault != nil:
		k = keys{AccessKeyID: a.Vault.AccessKey, SecretAccessKey: a.Vault.SecretKey, SessionToken: a.Vault.SessionToken}
		if k.SessionToken == "" {
			k.SessionToken = a.Vault.SecurityToken
		}
		if a.Lease > 0 && a.Lease < maxSeconds {
			k.Expiration = moment{now.Add(time.Duration(a.Lease) * time.Second)}
		}
	}
	return aws.Credentials{
		AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken, AccountID: k.AccountID,
		CanExpire: !k.Expiration.IsZero(), Expires: k.Expiration.Time,
	}, nil
}

// maxSeconds keeps a time within what a Duration and RFC 3339 can say.
const maxSeconds = 100 * 365 * 24 * 3600

// moment is an expiry in JSON: a text, or (SSO) milliseconds since 1970.
type moment struct{ time.Time }

func (m *moment) UnmarshalJSON(b []byte) error {
	var text *string
	if json.Unmarshal(b, &text) == nil {
		if text == nil || *text == "" {
			return nil
		}
		t, err := parseTime(*text)
		m.Time = t
		return err
	}
	var ms float64
	if json.Unmarshal(b, &ms) != nil || ms < 0 || ms > maxSeconds*1000 {
		return errTime
	}
	if ms > 0 {
		m.Time = time.UnixMilli(int64(ms)).UTC()
	}
	return nil
}

// parseTime reads RFC 3339 and its relatives that tools print.
func parseTime(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700",
	} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1970 && t.Year() <= 9999 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errTime
}

// parseLines reads KEY=VALUE, as env files and `eval $(…)` have it. Other lines
// are skipped: tools greet.
func parseLines(out []byte, _ time.Time) (aws.Credentials, error) {
	var c aws.Credentials
	var expires string
	into := map[string]*string{
		"AWS_ACCESS_KEY_ID":         &c.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":     &c.SecretAccessKey,
		"AWS_SESSION_TOKEN":         &c.SessionToken,
		"AWS_SECURITY_TOKEN":        &c.SessionToken, // its older name
		"AWS_CREDENTIAL_EXPIRATION": &expires,
		"AWS_SESSION_EXPIRATION":    &expires,
		"AWS_ACCOUNT_ID":            &c.AccountID,
	}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "export"); ok && rest != strings.TrimLeft(rest, " \t") {
			line = rest
		}
		key, value, ok := strings.Cut(line, "=")
		p := into[strings.ToUpper(strings.TrimSpace(key))]
		if !ok || p == nil {
			continue
		}
		value = unquote(strings.TrimSpace(value))
		if *p != "" && *p != value {
			// Two sets: which key belongs to which token is anyone's guess.
			return c, fmt.Errorf("prints two values for %s", strings.ToUpper(strings.TrimSpace(key)))
		}
		*p = value
	}
	if expires != "" {
		t, err := parseTime(expires)
		if err != nil {
			return c, err
		}
		c.CanExpire, c.Expires = true, t
	}
	return c, nil
}

// unquote takes off what a shell would: one pair of quotes, a semicolon at the end.
func unquote(v string) string {
	v = strings.TrimSpace(strings.TrimSuffix(v, ";"))
	if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
		return v[1 : len(v)-1]
	}
	return v
}
