// Package ini reads and edits AWS config and credentials files, and knows the
// settings by which tools keep credentials in them. Who reads such files and who
// writes them must agree: a setting that only the reader knows would stay behind,
// and be believed, beside new keys.
package ini

import (
	"strconv"
	"time"
)

// Settings that hold credentials. SecurityToken is the session token's old
// name; botocore asks for it first.
const (
	AccessKeyID     = "aws_access_key_id"
	SecretAccessKey = "aws_secret_access_key"
	SessionToken    = "aws_session_token"
	SecurityToken   = "aws_security_token"
)

// CredentialProcess is the setting with the command that prints credentials.
const CredentialProcess = "credential_process"

// Keys are the settings that are the credentials themselves.
var Keys = []string{AccessKeyID, SecretAccessKey, SessionToken, SecurityToken}

// Expiries are the names under which tools keep the expiry of credentials beside them:
// aws-vault and okta-awscli, the AWS CLI's own variables, aws-mfa, saml2aws and
// gimme-aws-creds, Leapp, Granted. The SDKs read none of them.
var Expiries = []string{
	"aws_expiration", "aws_credential_expiration", "aws_credentials_expiration", "expiration", "x_security_token_expires",
	"aws_session_expiration", "aws_session_token_expiration", "aws_expiry", "expires", "expires_at",
}

// Zoneless are the layouts of times without a zone that some tools write (aws-mfa);
// they are in UTC.
var Zoneless = []string{time.DateTime, "2006-01-02T15:04:05"}

// FormatLike returns the time as the tool writes it that wrote old: seconds or
// milliseconds since 1970, without a zone, or else as RFC 3339 has it.
func FormatLike(old string, t time.Time) string {
	t = t.UTC()
	if n, err := strconv.ParseInt(old, 10, 64); err == nil {
		if n > 1e11 { // as seconds, the year 5138
			return strconv.FormatInt(t.UnixMilli(), 10)
		}
		return strconv.FormatInt(t.Unix(), 10)
	}
	for _, layout := range Zoneless {
		if _, err := time.Parse(layout, old); err == nil {
			return t.Format(layout)
		}
	}
	return t.Format(time.RFC3339)
}
