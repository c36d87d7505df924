package source

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"brs-exec.example/brs-exec/refresh"
)

// WebIdentity says where a token of an OpenID Connect provider comes from, that
// the first of Spec.Roles is assumed with. At most one of its kinds is set.
type WebIdentity struct {
	TokenFile string   // read anew each time
	Command   []string // prints a token and nothing else: argv, no shell

	// GitHub asks the service that a GitHub Actions job finds in
	// ACTIONS_ID_TOKEN_REQUEST_URL: its tokens expire in minutes, those that were
	// exported at the start of a job are of no use an hour later.
	GitHub   bool
	Audience string // for GitHub; "" is sts.amazonaws.com, or that of the role's partition
}

func (w WebIdentity) given() bool { return w.TokenFile != "" || len(w.Command) > 0 || w.GitHub }

const (
	// tokenLimit is what STS takes: AssumeRoleWithWebIdentity, WebIdentityToken.
	tokenLimit = 20000

	githubURL, githubToken = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

const tokenHint = "it must be one JSON web token and nothing else"

// WebChain is [Chain] for a Spec with a WebIdentity: the token says all about the
// first role's session that Chain has an option for but its name, its length and
// its policies, so that of what only the first of a chain can take none is left.
func WebChain(arns []string, session Role) []Role {
	if len(arns) == 0 {
		return nil
	}
	first := Role{ARN: arns[0], SessionName: session.SessionName}
	if len(arns) == 1 {
		first = session
		first.ARN = arns[0]
	}
	return append([]Role{first}, Chain(arns[1:], session)...)
}

// webIdentity makes the first role, assumed by a token, the base.
func (s *Source) webIdentity(f *resolved) {
	w, r := s.spec.WebIdentity, s.spec.Roles[0]
	f.tokenRole, f.byRole = r.ARN, true
	var token func(context.Context) (string, error)
	switch {
	case w.GitHub:
		f.description = "GitHub Actions token"
		f.secrets = append(f.secrets, s.vars().get(githubToken))
		token = s.githubToken
	case len(w.Command) > 0:
		f.description = "web identity token of command " + program(w.Command)
		token = s.commandToken
	default:
		f.description, f.tokenFile = "web identity token of "+w.TokenFile, w.TokenFile
		token = func(context.Context) (string, error) { return fileToken(w.TokenFile) }
	}
	f.base = s.byToken(f, r, token)
	named := r
	named.SessionName = s.sessionName(r.SessionName)
	f.baseKey = []any{"web identity", w, s.absolute(w.TokenFile), named, s.vars().get(githubURL)}
}

// byToken assumes a role with a new token each time.
func (s *Source) byToken(f *resolved, r Role, token func(context.Context) (string, error)) func(context.Context) (issue, error) {
	return func(ctx context.Context) (issue, error) {
		t, err := token(ctx)
		if err != nil {
			return issue{}, err
		}
		return s.assumeByToken(ctx, f, r, t)
	}
}

func (s *Source) assumeByToken(ctx context.Context, f *resolved, r Role, token string) (issue, error) {
	call := &callError{step: "assume role " + r.ARN, role: r.ARN, secrets: []string{token}}
	in := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(r.ARN),
		RoleSessionName:  aws.String(s.sessionName(r.SessionName)),
		WebIdentityToken: aws.String(token),
		Policy:           optional(r.Policy),
	}
	for _, arn := range r.PolicyARNs {
		in.PolicyArns = append(in.PolicyArns, types.PolicyDescriptorType{Arn: aws.String(arn)})
	}
	if r.Duration > 0 {
		in.DurationSeconds = aws.Int32(int32(r.Duration / time.Second))
	}
	out, err := f.client.AssumeRoleWithWebIdentity(ctx, in, regionFor(r.ARN))
	if err != nil {
		call.err = err
		return issue{}, call
	}
	got, err := fromSTS(out.Credentials, out.AssumedRoleUser, "AssumeRoleWithWebIdentity")
	got.session = cmp.Or(got.session, *in.RoleSessionName)
	if err != nil {
		call.err = err
		return got, call
	}
	return got, nil
}

// oneToken checks that a text is one token, without a word about what it is else.
func oneToken(text []byte, verb string) (string, error) {
	t := strings.TrimSpace(string(text))
	switch {
	case t == "":
		return "", transientf(tokenHint, "%s no token", verb)
	case len(t) > tokenLimit:
		return "", refresh.Permanentf(tokenHint, "%s more than the %d bytes that a token can have", verb, tokenLimit)
	case strings.ContainsFunc(t, unprintable):
		return "", refresh.Permanentf(tokenHint, "%s more than one word", verb)
	}
	return t, nil
}

func fileToken(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, outputLimit))
	if err != nil {
		return "", err
	}
	return oneToken(text, "holds")
}

func (s *Source) commandToken(ctx context.Context) (string, error) {
	out, err := s.run(ctx, s.spec.WebIdentity.Command, "", cmp.Or(s.spec.limits.program, commandTimeout))
	if errors.Is(err, errFull) {
		return "", refresh.Permanentf(tokenHint, "prints more than the %d bytes that a token can have", tokenLimit)
	}
	if err != nil {
		return "", err
	}
	return oneToken(svid(out), "prints")
}

// svid takes the token out of what `spire-agent api fetch jwt` prints: a line
// token(spiffe://…): with the token on the next one, and then bundles. Of several, the
// first is taken, as SPIFFE's own helpers do.
func svid(out []byte) []byte {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if len(lines) > 1 && bytes.HasPrefix(lines[0], []byte("token(spiffe://")) && bytes.HasSuffix(bytes.TrimSpace(lines[0]), []byte("):")) {
		return lines[1]
	}
	return out
}

// githubToken asks for a new token:
// docs.github.com/en/actions/reference/security/oidc, "Methods for requesting the OIDC token".
func (s *Source) githubToken(ctx context.Context) (string, error) {
	req, err := s.githubRequest(ctx)
	if err != nil {
		return "", err
	}
	resp, body, err := s.exchange(req, nil, "")
	switch {
	case resp != nil && resp.StatusCode != http.StatusOK:
		return "", s.githubRefusal(refusal{status: resp.StatusCode})
	case err != nil:
		return "", err
	}
	var answer struct{ Value string }
	if json.Unmarshal(body, &answer) != nil || answer.Value == "" {
		return "", errUnreadable
	}
	return oneToken([]byte(answer.Value), "gives")
}

func (s *Source) githubRequest(ctx context.Context) (*http.Request, error) {
	const hint = "the job needs `permissions: id-token: write`, and a step of the job itself has these variables"
	env := s.vars()
	address, bearer := env.get(githubURL), env.get(githubToken)
	if address == "" || bearer == "" {
		return nil, refresh.Permanentf(hint, "%s and %s are not both set", githubURL, githubToken)
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return nil, refresh.Permanentf(hint, "%s is no https address", githubURL)
	}
	q := u.Query()
	q.Set("audience", s.audience())
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, refresh.Permanentf(hint, "%s is no https address", githubURL)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Accept", "application/json; api-version=2.0")
	return req, nil
}

// audience is what the role's trust policy and the provider in IAM ask for,
// unless they were made with another.
func (s *Source) audience() string {
	if a := s.spec.WebIdentity.Audience; a != "" {
		return a
	}
	if strings.HasPrefix(s.spec.Roles[0].ARN, "arn:aws-cn:") {
		return "sts.amazonaws.com.cn"
	}
	return "sts.amazonaws.com"
}

func (s *Source) githubRefusal(r refusal) error {
	switch {
	case r.transient():
		return transientf("", "%s%s", r, s.fromServer())
	case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden:
		return refresh.Permanentf("the job has ended, or has no `permissions: id-token: write`", "%s%s", r, s.fromServer())
	}
	return refresh.Permanentf("is "+githubURL+" what the runner has set?", "%s%s", r, s.fromServer())
}
