package source

import (
	"brs-exec/refresh/source/keyfile"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Ending is when a source will give no new set any more, unless a person does
// something about it.
type Ending struct {
	At   time.Time // on the local clock
	What string    // for people: `the SSO session of profile "prod"`
	Hint string    // what to do: a command, or a few words
}

// Ends returns the end of what the source lives on, if that is known: a login, a
// certificate, an MFA session that a person typed the code of, keys in the
// environment. It looks anew each time, so that what a person has done about it
// counts at once. The sets that the source has given live on to their own end.
func (s *Source) Ends() (Ending, bool) {
	u := s.using()
	u.mu.Lock()
	f, typed := u.found, u.typed
	u.mu.Unlock()
	switch {
	case f.mfa != "" && !typed.IsZero():
		return Ending{
			At: u.here(typed), What: "the MFA session with " + f.mfa,
			Hint: "start brs-exec again, and type a code; --mfa-command and --mfa-totp-file need nobody",
		}, true
	case f.ends != nil:
		return f.ends()
	}
	return Ending{}, false
}

// certificateEnds is the end of the certificate as it is in its file now.
func (s *Source) certificateEnds() (Ending, bool) {
	path := s.pair.files.Certificate
	certs, err := keyfile.Certificates("certificate", s.at(path))
	if err != nil {
		return Ending{}, false
	}
	return Ending{
		At: s.here(certs[0].NotAfter), What: "certificate " + path,
		Hint: "renew it: the new one is used without a restart",
	}, true
}

// keysEnd is the end of keys that nothing can replace while we run.
func keysEnd(keys aws.Credentials) func() (Ending, bool) {
	return func() (Ending, bool) {
		return Ending{
			At: keys.Expires, What: "the session of the keys in the environment",
			Hint: "start brs-exec again with newer keys, or let it get them itself: --profile, --role-arn",
		}, keys.CanExpire
	}
}
