package source

import (
	"time"

	"brs-exec.example/brs-exec/refresh/source/keyfile"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Expiry is when a source will give no new credentials any more, unless a person does
// something about it.
type Expiry struct {
	At   time.Time // on the local clock
	What string    // for people: `the SSO session of profile "prod"`
	Hint string    // what to do: a command, or a few words
}

// Expiry returns the source expiry, if that is known: of a login, a certificate, an MFA session that a person typed the code of, keys
// in the environment. It looks anew each time, so that what a person has done about it
// counts at once. The credentials that the source has given are valid until their own expiry.
func (s *Source) Expiry() (Expiry, bool) {
	u := s.activeSource()
	u.mu.Lock()
	f, typed := u.resolved, u.promptedExpiry
	u.mu.Unlock()
	switch {
	case f.mfa != "" && !typed.IsZero():
		return Expiry{
			At: u.toLocalClock(typed), What: "the MFA session with " + f.mfa,
			Hint: "start brs-exec again, and type a code; --mfa-command and --mfa-totp-file need nobody",
		}, true
	case f.expiry != nil:
		return f.baseExpiry()
	}
	return Expiry{}, false
}

// certificateExpiry is the expiry of the certificate as it is in its file now.
func (s *Source) certificateExpiry() (Expiry, bool) {
	path := s.pair.files.Certificate
	certs, err := keyfile.Certificates("certificate", s.absolute(path))
	if err != nil {
		return Expiry{}, false
	}
	return Expiry{
		At: s.toLocalClock(certs[0].NotAfter), What: "certificate " + path,
		Hint: "renew it: the new one is used without a restart",
	}, true
}

// keysExpiry is the expiry of keys that nothing can replace while we run.
func keysExpiry(keys aws.Credentials) func() (Expiry, bool) {
	return func() (Expiry, bool) {
		return Expiry{
			At: keys.Expires, What: "the session of the keys in the environment",
			Hint: "start brs-exec again with newer keys, or let it get them itself: --profile, --role-arn",
		}, keys.CanExpire
	}
}
