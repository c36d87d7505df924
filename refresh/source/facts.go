package source

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Keys are keys that a source has at hand, and that it cannot renew.
type Keys struct {
	Whose   string // for people: `the keys of profile "prod"`
	Session bool   // they have a session token, and so an end
}

// Keys returns the keys that all else is done with, and false if they are not at hand.
func (s *Source) Keys() (Keys, bool) {
	if k := s.current().keys; k != nil {
		return *k, true
	}
	return Keys{}, false
}

// Program returns the program that a profile's credential_process starts, ""
// if there is none.
func (s *Source) Program() string { return s.current().program }

// MFADevice returns the device that codes are asked of, "" for none.
func (s *Source) MFADevice() string { return s.current().mfa }

// Overlooked returns what the configuration holds and something else in it comes before,
// one line each.
func (s *Source) Overlooked() []string { return s.current().overlooked }

// CallerIdentity asks STS whose credentials these are: an ARN.
func (s *Source) CallerIdentity(ctx context.Context, creds aws.Credentials) (string, error) {
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
