package source

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Facts are what is known of a source without asking anyone.
type Facts struct {
	Keys      *Keys  // that all else is done with; nil: they are not at hand
	Program   string // that a profile's credential_process starts; "" for none
	MFADevice string // that codes are asked of; "" for none

	// Overlooked is what the configuration holds and something else in it comes before,
	// one line each.
	Overlooked []string

	// Plaintext is what goes to another machine without encryption, or comes from it, one
	// line each: whoever can read the network can use it. Keys themselves only sign a request,
	// but the answer holds the session of the role.
	Plaintext []string
}

// Keys are keys that a source has at hand, and that it cannot renew.
type Keys struct {
	Whose    string // for people: `the keys of profile "prod"`
	Session  bool   // they have a session token, and so an expiry
	Exported bool   // they are variables, which nothing changes while we run
	Role     bool   // a role is assumed with them, or an MFA session begun
}

// Warning says what follows for a run from that the session of the keys expires; "" if they are of
// none.
func (k *Keys) Warning() string {
	switch {
	case k == nil || !k.Session:
		return ""
	case k.Role:
		return k.Whose + " belong to a session: when it expires, the role cannot be assumed again"
	}
	return k.Whose + " belong to a session: when it expires, there are no newer ones"
}

// Facts returns those of the first source; Plaintext is that of all.
func (s *Source) Facts() Facts {
	f := s.current()
	facts := Facts{Program: f.program, MFADevice: f.mfa, Overlooked: f.overlooked}
	if f.keys != nil {
		facts.Keys = &Keys{Whose: f.keys.Whose, Session: f.keys.Session, Exported: f.from(aws.CredentialSourceEnvVars), Role: len(f.roles) > 0 || f.mfa != ""}
	}
	for _, src := range s.sources() {
		facts.Plaintext = append(facts.Plaintext, src.current().plaintext(src.vars())...)
	}
	return facts
}

// CallerIdentity asks STS whose credentials these are: an ARN.
func (s *Source) CallerIdentity(ctx context.Context, creds aws.Credentials) (string, error) {
	ctx = s.web.in(ctx)
	c, err := s.configuration()
	if err == nil {
		err = c.network()
	}
	if err != nil {
		return "", s.explain(ctx, nil, err)
	}
	out, err := c.f.client.GetCallerIdentity(ctx, nil, regionFor(""), func(o *sts.Options) {
		o.Credentials = credentials.StaticCredentialsProvider{Value: creds}
	})
	if err != nil {
		return "", s.explain(ctx, nil, &callError{err: err, secrets: []string{creds.SecretAccessKey, creds.SessionToken}})
	}
	return aws.ToString(out.Arn), nil
}
