package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"brs-exec.example/brs-exec/refresh"
)

var (
	errEmpty      = refresh.Permanentf("", "gives no access key and secret")
	errUnreadable = errors.New("unreadable answer")
)

// transientf is an error that a retry may cure, as [refresh.Permanentf] makes one that
// none does.
func transientf(hint, format string, args ...any) *refresh.Error {
	return &refresh.Error{Err: fmt.Errorf(format, args...), Hint: hint}
}

// callError is the error of one call on the way to credentials, with what must not be
// shown of it. What the error means is for explain to say.
type callError struct {
	step    string // what failed; "" if that is what the whole source is called
	role    string // ARN of the role that was to be assumed; "" if none was
	err     error
	secrets []string
}

func (e *callError) Error() string { return e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

// explain makes a *refresh.Error of any error: one line of text of our own making,
// since those of the SDK run to paragraphs, and some quote what they could not
// parse. It wraps nothing but the end of ctx, so that no one can print more.
func (s *Source) explain(ctx context.Context, f *resolved, err error) error {
	call := &callError{}
	errors.As(err, &call)
	e := s.classify(ctx, f, call, err)
	texts, secrets := []string{e.Error()}, call.secrets
	if call.step != "" {
		texts = append([]string{call.step}, texts...)
	}
	if f != nil {
		secrets = append(secrets[:len(secrets):len(secrets)], f.secrets...)
		if !f.chainEnd() || s.succeeded || s.web.heard() {
			texts = append([]string{f.description}, texts...)
		}
	}
	shown := errors.New(redact(strings.Join(texts, ": "), secrets))
	if end := ctx.Err(); end != nil && errors.Is(e, end) {
		shown = ended(shown.Error(), end)
	}
	return &refresh.Error{Err: shown, Permanent: e.Permanent, Hint: redact(e.Hint, secrets), RequestID: e.RequestID}
}

// ended is an error that is the end of a context, and says so in its own words.
func ended(text string, end error) error { return fmt.Errorf("%s%.0w", text, end) }

// classify says what an error means, without where it happened: what was understood where
// it happened, what a server answered, what kept an answer from coming.
func (s *Source) classify(ctx context.Context, f *resolved, call *callError, err error) *refresh.Error {
	var known *refresh.Error
	if errors.As(err, &known) {
		return known
	}
	service := ""
	var op *smithy.OperationError
	if errors.As(err, &op) {
		service = op.Service()
	}
	var api smithy.APIError
	if end := ctx.Err(); end != nil && !errors.As(err, &api) {
		if errors.Is(end, context.DeadlineExceeded) {
			return &refresh.Error{Err: ended("no answer in time"+s.fromServer(), end)}
		}
		return &refresh.Error{Err: ended("stopped", end)}
	}
	if service == "ec2imds" || f.from(aws.CredentialSourceIMDS) && call.step == "" {
		if e := s.classifyMetadata(f, err); e != nil {
			return e
		}
	}
	if r, ok := refusalIn(err); ok {
		text := r.String()
		if r.code == "" {
			text += s.fromServer()
		}
		hint, permanent := s.remedy(f, call, service, r)
		return r.in(&refresh.Error{Err: errors.New(text), Permanent: permanent, Hint: hint})
	}
	if _, replied, broken := s.web.last(); broken != nil {
		err = broken
	} else if replied && !errors.Is(err, errElsewhere) {
		// Whatever the SDK says now is about the answer, and likely to quote it.
		return s.unreadable("")
	}
	if e := s.classifyNetwork(err); e != nil {
		return e
	}
	if f != nil && f.tokenFile != "" && call.step == "" {
		// The SDK's text for it is longer, and hides which error it was.
		text, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return refresh.Permanentf("something must write the token there", "%v", err)
		}
		if f.from(aws.CredentialSourceHTTP) && bytes.ContainsAny(text, "\r\n") {
			return refresh.Permanentf("AWS's SDKs expect the token alone, without a line end", "%s: holds a line break", f.tokenFile)
		}
	}
	return transientf("", "%s", redactForeign(deepest(err).Error()))
}

// unreadable is for an answer that is none of the protocol's, or has nothing in it that is
// needed. What it says may be anything, and is not shown; detail is.
func (s *Source) unreadable(detail string) *refresh.Error {
	return transientf("check the endpoint, and whether a proxy answers in its place"+s.endpointHint(), "%v%s%s", errUnreadable, s.fromServer(), detail)
}

func (s *Source) fromServer() string {
	if host, _, _ := s.web.last(); host != "" {
		return " from " + host
	}
	return ""
}

// deepest is the error at the bottom of err: the SDK's layers on top of it say
// what the prefix of the text says already.
func deepest(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// refusal is what a server said when it said no.
type refusal struct {
	code    string // "" if it gave none that means anything
	message string
	status  int    // 0 if unknown
	request string // AWS's id of the call; "" if it gave none
}

// in gives an error that a refusal has led to the id of the call, which AWS's logs know it by.
func (r refusal) in(e *refresh.Error) *refresh.Error {
	e.RequestID = r.request
	return e
}

// requestID is an id that a server gave a call: a UUID of AWS's, other servers have shorter
// ones. What looks like anything else is nobody's.
func requestID(said string) string {
	if len(said) > 100 || strings.ContainsFunc(said, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_=+/:.", r))
	}) {
		return ""
	}
	return said
}

// refusalIn takes a server's refusal out of err. One that could be parsed has a code;
// of others the status is all there is.
func refusalIn(err error) (refusal, bool) {
	var r refusal
	var withStatus interface{ HTTPStatusCode() int }
	if errors.As(err, &withStatus) {
		r.status = withStatus.HTTPStatusCode()
	}
	var call interface{ ServiceRequestID() string }
	if errors.As(err, &call) {
		r.request = requestID(call.ServiceRequestID())
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		r.code, r.message = api.ErrorCode(), api.ErrorMessage()
		if strings.HasPrefix(strings.TrimSpace(r.message), "<") {
			r.message = "" // a web page: of something in between, and not for people to read here
		}
		if r.code == "Unknown" || r.code == "UnknownError" {
			r.code = "" // radosgw's, and the SDK's own for none
		}
		return r, true
	}
	return r, r.status >= 300
}

// transient says whether a refusal is one that a retry may cure.
func (r refusal) transient() bool {
	_, throttled := retry.DefaultThrottleErrorCodes[r.code]
	return throttled || r.status == http.StatusTooManyRequests || r.status == http.StatusRequestTimeout || r.status >= 500
}

// final says whether a refusal is a no, and not an excuse.
func (r refusal) final() bool {
	return r.status >= 400 && r.status < 500 && r.status != http.StatusRequestTimeout && r.status != http.StatusTooManyRequests &&
		r.code != "" && r.code != "SlowDownException" && r.code != "ThrottlingException"
}

func (r refusal) aboutDuration() bool {
	return strings.Contains(strings.ToLower(r.message), "durationseconds")
}

func (r refusal) String() string {
	head := redactForeign(r.code)
	if head == "" {
		head = "refused"
		if r.status != 0 {
			head = fmt.Sprintf("HTTP %d %s", r.status, http.StatusText(r.status))
		}
	}
	if r.message == "" || r.message == r.code || r.message == "UnknownError" {
		return head
	}
	return head + ": " + redactForeign(r.message)
}

// remedy says what to do about a refusal, and whether no retry cures it.
func (s *Source) remedy(f *resolved, call *callError, service string, r refusal) (hint string, permanent bool) {
	if _, ok := retry.DefaultThrottleErrorCodes[r.code]; ok || r.code == "Throttling" || r.status == http.StatusTooManyRequests || r.status >= 500 {
		return "", false
	}
	if f != nil && strings.HasPrefix(service, "SSO") {
		switch r.code {
		case "UnauthorizedException", "InvalidGrantException", "InvalidClientException", "UnauthorizedClientException", "ExpiredTokenException", "AccessDeniedException":
			return loginHint(f.ssoProfile), true
		}
	}
	switch r.code { // of STS and SSO OIDC, which need more than their status says
	case "ExpiredToken", "ExpiredTokenException":
		return s.expired(f)
	case "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "InvalidToken", "AuthFailure":
		return "these keys are not known" + strings.Replace(s.fromServer(), "from", "to", 1) + ": deleted, mistyped, or of another endpoint or partition" + s.endpointHint(), true
	case "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired", "IncompleteSignature":
		if h := skewHint(s.web.skew()); h != "" {
			return h, false // a clock is often set soon after a start or a resume
		}
		return "the secret access key does not belong to the access key id, or the clock is wrong", true
	case "RegionDisabledException":
		return "activate STS for that region in the account, or pass another --region", true
	case "MalformedPolicyDocument", "PackedPolicyTooLarge":
		return "look at the session policy, the policy ARNs and the tags", true
	case "IDPCommunicationError":
		return "", false
	case "InvalidIdentityToken":
		return "IAM must have an OpenID Connect provider for the token's issuer, with its audience in the list", true
	case "IDPRejectedClaim":
		return "the identity provider does not accept this token: revoked, or of another configuration", true
	case "AssumeRoleUnauthorizedAccess": // of the metadata service
		return "the trust policy of the instance's role must allow ec2.amazonaws.com", true
	}
	switch {
	case r.code == "AccessDenied", r.code == "AccessDeniedException", r.status == http.StatusForbidden, r.status == http.StatusUnauthorized:
		return s.deniedHint(f, call, service), true
	case strings.Contains(r.message, "role chaining"):
		return "--duration 1h: AWS allows no more to a role that is assumed with the credentials of another", true
	case r.aboutDuration():
		return r.durationHint("--duration, or duration_seconds in the profile", "the role's maximum"), true
	case f.from(aws.CredentialSourceHTTP) && call.step == "" && r.status == http.StatusBadRequest:
		return s.vars().agentHint(), true
	case r.status == http.StatusNotFound, r.status >= 300 && r.status < 400:
		return "check the endpoint" + s.endpointHint(), true
	case r.status == http.StatusRequestTimeout, r.status == 0:
		return "", false
	}
	return "", true
}

// expired is for credentials, or a token, that had expired when they were used.
func (s *Source) expired(f *resolved) (hint string, permanent bool) {
	switch skew := skewHint(s.web.skew()); {
	case f.from(aws.CredentialSourceEnvVarsSTSWebIDToken, aws.CredentialSourceProfileSTSWebIDToken):
		return "the token in the web identity token file has expired, and nothing has renewed it", false
	case f.byToken() && f.tokenFile == "":
		return skew, false // the next one may be better
	case f.byToken():
		return "the token in that file has expired, and nothing has renewed it", false
	case f.from(aws.CredentialSourceIMDS, aws.CredentialSourceHTTP), skew != "":
		return skew, false // they are renewed by themselves
	}
	return "the credentials of this call have expired: renew them", true
}

func (f *resolved) byToken() bool { return f != nil && f.tokenRole != "" }

func (s *Source) deniedHint(f *resolved, call *callError, service string) string {
	switch {
	case strings.HasPrefix(service, "SSO"):
		return "this SSO user is not assigned that role in that account (or no longer)"
	case call.step == "" && f.from(aws.CredentialSourceHTTP):
		return s.vars().agentHint()
	case call.role == "":
		return ""
	case len(f.roles) == 0, call.role == f.tokenRole: // by web identity
		return "the role's trust policy must allow this identity provider, audience and subject"
	}
	who := f.description
	for i := range f.roles {
		if f.roles[i].ARN == call.role && i > 0 {
			who = f.roles[i-1].ARN
		} else if f.roles[i].ARN == call.role && f.byToken() {
			who = f.tokenRole
		}
	}
	return fmt.Sprintf("the role's trust policy must allow the identity behind %s (its external id, tags and MFA conditions, too), and that identity's own policy sts:AssumeRole", who)
}
