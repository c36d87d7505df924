package source

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// Role is one call of STS AssumeRole; empty fields are left out of it. Limits that
// are AWS's own (characters, 900 s, sizes) are AWS's to enforce: other servers
// that speak STS have others.
type Role struct {
	ARN string // anything of six parts that begins with arn:

	// SessionName may hold {user} {host} {command} {pid} {profile}. What AWS does
	// not allow in it is replaced by "-", and it is cut to 64 characters. "" is
	// brs-exec-{command}-{pid}.
	SessionName string

	ExternalID     string
	Policy         string   // session policy, JSON
	PolicyARNs     []string // managed session policies
	Tags           map[string]string
	TransitiveTags []string // keys of Tags that later sessions of the chain inherit

	ProvidedContexts []ProvidedContext
	SourceIdentity   string
	Duration         time.Duration // 0 leaves it to the server (AWS: one hour)
}

// chainLimit is the longest session of a role that was assumed with a role's
// credentials: docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html, "Role chaining".
const chainLimit = time.Hour

// Chain spreads the options of one session over the roles on the way to it.
// The ARN of session is ignored.
//
//   - SessionName goes to every role, so that each shows who is behind it.
//   - ExternalID, Policy, PolicyARNs, ProvidedContexts and Duration go to the last: they
//     are about the session that the command works in, and the ones before only serve
//     to get there. A policy on those could take away the right to go on.
//   - SourceIdentity goes to the first: AWS carries it along by itself, and does not
//     let it be changed.
//   - Tags that are transitive go to the first, which makes them reach all that
//     follow; passing them again would be refused. The others go to the last.
func Chain(arns []string, session Role) []Role {
	roles := make([]Role, 0, len(arns))
	for i, arn := range arns {
		r := Role{ARN: arn, SessionName: session.SessionName}
		first, last := i == 0, i == len(arns)-1
		if first {
			r.SourceIdentity = session.SourceIdentity
			r.TransitiveTags = session.TransitiveTags
		}
		if last {
			r.ExternalID, r.Policy, r.PolicyARNs = session.ExternalID, session.Policy, session.PolicyARNs
			r.ProvidedContexts, r.Duration = session.ProvidedContexts, session.Duration
		}
		for k, v := range session.Tags {
			if transitive := slices.Contains(session.TransitiveTags, k); transitive && first || !transitive && last {
				if r.Tags == nil {
					r.Tags = map[string]string{}
				}
				r.Tags[k] = v
			}
		}
		roles = append(roles, r)
	}
	return roles
}

// capDuration cuts what is certain to be refused: the duration of a role after
// another one.
func (s *Source) capDuration(f *resolved) {
	f.roles = slices.Clone(f.roles)
	for i := range f.roles {
		if r := &f.roles[i]; (i > 0 || f.byRole) && r.Duration > chainLimit {
			s.noteCap(*r)
			r.Duration = chainLimit
		}
	}
}

func (s *Source) noteCap(r Role) {
	s.note("role %s: its session lasts 1h, not %s: AWS allows no more to a role that is assumed with the credentials of another", r.ARN, r.Duration)
}

// assume exchanges creds for a session of f's i-th role.
func (s *Source) assume(ctx context.Context, f *resolved, creds aws.Credentials, i int) (issue, error) {
	r, chained := f.roles[i], i > 0 || f.byRole
	call := &callError{step: "assume role " + r.ARN, role: r.ARN}
	in := &sts.AssumeRoleInput{
		RoleArn:           aws.String(r.ARN),
		RoleSessionName:   aws.String(s.sessionName(r.SessionName)),
		ExternalId:        optional(r.ExternalID),
		Policy:            optional(r.Policy),
		SourceIdentity:    optional(r.SourceIdentity),
		TransitiveTagKeys: r.TransitiveTags,
	}
	for _, arn := range r.PolicyARNs {
		in.PolicyArns = append(in.PolicyArns, types.PolicyDescriptorType{Arn: aws.String(arn)})
	}
	for _, k := range slices.Sorted(maps.Keys(r.Tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(k), Value: aws.String(r.Tags[k])})
	}
	if r.Duration > 0 {
		in.DurationSeconds = aws.Int32(int32(r.Duration / time.Second))
	}
	secrets, err := r.contexts(in)
	if err != nil {
		call.err = err
		return issue{}, call
	}
	call.secrets = append(secrets, creds.SecretAccessKey, creds.SessionToken)
	base := func(o *sts.Options) { o.Credentials = credentials.StaticCredentialsProvider{Value: creds} }
	out, err := f.client.AssumeRole(ctx, in, regionFor(r.ARN), base)
	if !chained && creds.SessionToken != "" && r.Duration > chainLimit && refusedWith(err, http.StatusBadRequest) {
		// Temporary credentials of unknown origin, from the environment or a command:
		// a role's are under the limit, those of GetSessionToken are not. Asked for
		// less, the server tells which.
		in.DurationSeconds = aws.Int32(int32(chainLimit / time.Second))
		if shorter, again := f.client.AssumeRole(ctx, in, regionFor(r.ARN), base); again == nil {
			out, err = shorter, nil
			s.noteCap(r)
			f.roles[i].Duration = chainLimit
		}
	}
	if err != nil {
		call.err = err
		return issue{}, call
	}
	got, err := fromSTS(out.Credentials, out.AssumedRoleUser, "AssumeRole")
	got.session = cmp.Or(got.session, *in.RoleSessionName)
	if err != nil {
		call.err = err
		return got, call
	}
	return got, nil
}

// fromSTS is the credentials in an answer of STS. user is nil if they are of no role.
func fromSTS(c *types.Credentials, user *types.AssumedRoleUser, source string) (issue, error) {
	if c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" || c.Expiration == nil || c.Expiration.Year() < 1970 {
		return issue{}, errUnreadable
	}
	got := aws.Credentials{
		AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: aws.ToString(c.SessionToken),
		Source: source, CanExpire: true, Expires: *c.Expiration,
	}
	if user == nil {
		return issue{Credentials: got}, nil
	}
	got.AccountID = account(aws.ToString(user.Arn))
	return issuedTo(got, aws.ToString(user.Arn)), nil
}

// refusedWith says whether a server answered with that status.
func refusedWith(err error, status int) bool {
	var re *awshttp.ResponseError
	return errors.As(err, &re) && re.HTTPStatusCode() == status
}

// account is the account of an ARN, "" if it has none.
func account(arn string) string {
	if parts := strings.Split(arn, ":"); len(parts) >= 6 {
		return parts[4]
	}
	return ""
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
