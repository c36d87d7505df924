package source

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"brs-exec/refresh"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// refusal is what a server said when it said no.
type refusal struct {
	code    string // "" if it gave none that means anything
	message string
	status  int // 0 if unknown
}

// refusalIn takes a server's refusal out of err. One that could be parsed has a code;
// of others the status is all there is.
func refusalIn(err error) (refusal, bool) {
	var r refusal
	var withStatus interface{ HTTPStatusCode() int }
	if errors.As(err, &withStatus) {
		r.status = withStatus.HTTPStatusCode()
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

// durationHint is for a duration that is out of range; with is the setting that requests it.
func (r refusal) durationHint(with, limit string) string {
	if message := strings.ToLower(r.message); strings.Contains(message, "greater than or equal") || strings.Contains(message, "minimum") {
		return "ask for a longer session (" + with + "): AWS gives none of less than 15m"
	}
	return "ask for a shorter session (" + with + "), or raise " + limit
}

// agentHint is about the role that a container's agent gives.
func (e environ) agentHint() string {
	if strings.Contains(e.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"), "eks-pod-identity") {
		return "the pod's service account needs an association, with a role whose trust policy allows pods.eks.amazonaws.com to sts:AssumeRole and sts:TagSession"
	}
	return "the task's role must be there, and its trust policy must allow ecs-tasks.amazonaws.com to sts:AssumeRole"
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

func (s *Source) classifyRefusal(f *resolved, call *callError, service string, r refusal) *refresh.Error {
	text := r.String()
	if r.code == "" {
		text += s.fromServer()
	}
	again := func(hint string) *refresh.Error { return transientf(hint, "%s", text) }
	never := func(hint string) *refresh.Error { return refresh.Permanentf(hint, "%s", text) }
	if _, ok := retry.DefaultThrottleErrorCodes[r.code]; ok || r.code == "Throttling" || r.status == http.StatusTooManyRequests || r.status >= 500 {
		return again("")
	}
	if f != nil && strings.HasPrefix(service, "SSO") {
		switch r.code {
		case "UnauthorizedException", "InvalidGrantException", "InvalidClientException", "UnauthorizedClientException", "ExpiredTokenException", "AccessDeniedException":
			return never(loginHint(f.ssoProfile))
		}
	}
	switch r.code { // of STS and SSO OIDC, which need more than their status says
	case "ExpiredToken", "ExpiredTokenException":
		hint, permanent := s.expired(f)
		return &refresh.Error{Err: errors.New(text), Permanent: permanent, Hint: hint}
	case "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "InvalidToken", "AuthFailure":
		return never("these keys are not known" + strings.Replace(s.fromServer(), "from", "to", 1) + ": deleted, mistyped, or of another endpoint or partition" + s.endpointHint())
	case "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired", "IncompleteSignature":
		if h := skewHint(s.web.skew()); h != "" {
			return again(h) // a clock is often set soon after a start or a resume
		}
		return never("the secret access key does not belong to the access key id, or the clock is wrong")
	case "RegionDisabledException":
		return never("activate STS for that region in the account, or pass another --region")
	case "MalformedPolicyDocument", "PackedPolicyTooLarge":
		return never("look at the session policy, the policy ARNs and the tags")
	case "IDPCommunicationError":
		return again("")
	case "InvalidIdentityToken":
		return never("IAM must have an OpenID Connect provider for the token's issuer, with its audience in the list")
	case "IDPRejectedClaim":
		return never("the identity provider does not stand by this token: revoked, or of another configuration")
	case "AssumeRoleUnauthorizedAccess": // of the metadata service
		return never("the trust policy of the instance's role must allow ec2.amazonaws.com")
	}
	switch {
	case r.code == "AccessDenied", r.code == "AccessDeniedException", r.status == http.StatusForbidden, r.status == http.StatusUnauthorized:
		return never(s.deniedHint(f, call, service))
	case strings.Contains(r.message, "role chaining"):
		return never("--duration 1h: AWS allows no more to a role that is assumed with the credentials of another")
	case r.aboutDuration():
		return never(r.durationHint("--duration, or duration_seconds in the profile", "the role's maximum"))
	case f.from(aws.CredentialSourceHTTP) && call.step == "" && r.status == http.StatusBadRequest:
		return never(s.vars().agentHint())
	case r.status == http.StatusNotFound, r.status >= 300 && r.status < 400:
		return never("is that the right endpoint?" + s.endpointHint())
	case r.status == http.StatusRequestTimeout, r.status == 0:
		return again("")
	}
	return never("")
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

func skewHint(skew time.Duration) string {
	switch {
	case skew >= time.Minute:
		return fmt.Sprintf("this machine's clock is %s ahead of the server's: set it", skew)
	case skew <= -time.Minute:
		return fmt.Sprintf("this machine's clock is %s behind the server's: set it", -skew)
	}
	return ""
}

// endpointHint names the variable that decides about the address of the service that
// was asked last, if one does.
func (s *Source) endpointHint() string {
	if name := s.vars().endpointVariable(s.web.service()); name != "" {
		return " (" + name + " is set)"
	}
	return ""
}
