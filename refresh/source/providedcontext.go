package source

import (
	"errors"
	"io/fs"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"brs-exec.example/brs-exec/refresh"
)

// ProvidedContext is what a provider of AWS's asserts about the person behind a
// session: AssumeRole, ProvidedContexts. IAM Identity Center gives assertions with
// CreateTokenWithIAM. They expire in minutes and are a secret, so that they come from
// a file that something else keeps: it is read anew each time.
type ProvidedContext struct {
	ProviderARN string // of the provider: arn:aws:iam::aws:contextProvider/IdentityCenter
	File        string // holds the assertion and nothing else
}

// assertion reads the file.
func (c ProvidedContext) assertion() (string, error) {
	text, err := fileToken(c.File)
	if err == nil {
		return text, nil
	}
	e := refresh.Permanentf("it must be a file that this user may read", "provided context in %s: %v", c.File, deepest(err))
	var known *refresh.Error
	if errors.As(err, &known) {
		e.Permanent, e.Hint = known.Permanent, "it must be one context assertion and nothing else"
	} else if errors.Is(err, fs.ErrNotExist) {
		e.Hint = "something must write the context assertion there"
	}
	return "", e
}

// contexts puts a role's provided contexts into what is asked for, and returns what
// of that must not be shown.
func (r Role) contexts(in *sts.AssumeRoleInput) (secrets []string, err error) {
	for _, c := range r.ProvidedContexts {
		assertion, err := c.assertion()
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, assertion)
		in.ProvidedContexts = append(in.ProvidedContexts, types.ProvidedContext{
			ProviderArn: aws.String(c.ProviderARN), ContextAssertion: aws.String(assertion),
		})
	}
	return secrets, nil
}
