package source

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// issue is credentials, and whose session they are as far as whoever issued them has said.
type issue struct {
	aws.Credentials
	arn     string // of the assumed role: arn:aws:sts::123456789012:assumed-role/ROLE/SESSION; "" if it was not said
	session string // name of the role session; "" if it is not known
}

// unnamed is a way to credentials of which nobody says whose session they are.
func unnamed(retrieve func(context.Context) (aws.Credentials, error)) func(context.Context) (issue, error) {
	return func(ctx context.Context) (issue, error) {
		c, err := retrieve(ctx)
		return issue{Credentials: c}, err
	}
}

// issuedTo is credentials of the session that an answer names. Anything but the ARN of an
// assumed role is nobody's: it may come from any server, or from a program.
func issuedTo(c aws.Credentials, arn string) issue {
	const longest = 2048 // of an ARN, in AWS's API
	parts := strings.Split(arn, ":")
	if len(arn) > longest || len(parts) != 6 || parts[0] != "arn" || strings.ContainsFunc(arn, unprintable) {
		return issue{Credentials: c}
	}
	path := strings.Split(parts[5], "/")
	if len(path) < 3 || path[0] != "assumed-role" {
		return issue{Credentials: c}
	}
	return issue{c, arn, path[len(path)-1]}
}

func (s *Source) setIdentity(of issue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arn, s.roleSession = of.arn, of.session
}

// Identity returns whose session the last credentials are: the ARN of the assumed role
// (arn:aws:sts::123456789012:assumed-role/ROLE/SESSION) and the name of the role session,
// which CloudTrail shows. Each is "" if nobody has said.
func (s *Source) Identity() (arn, session string) {
	u := s.activeSource()
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.arn, u.roleSession
}
