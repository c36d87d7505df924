package source

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// reply is what a server said when it said no.
type reply struct {
	code    string // "" if it gave none that means anything
	message string
	status  int // 0 if unknown
}

// answerOf takes a server's refusal out of err. One that could be parsed is a
// reply with a code; of others the status is all there is.
func answerOf(err error) (reply, bool) {
	var a reply
	var withStatus interface{ HTTPStatusCode() int }
	if errors.As(err, &withStatus) {
		a.status = withStatus.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		a.code, a.message = api.ErrorCode(), api.ErrorMessage()
		if strings.HasPrefix(strings.TrimSpace(a.message), "<") {
			a.message = "" // a web page: of something in between, and not for people to read here
		}
		if a.code == "Unknown" || a.code == "UnknownError" {
			a.code = "" // radosgw's, and the SDK's own for none
		}
		return a, true
	}
	return a, a.status >= 300
}

func (a reply) aboutDuration() bool {
	return strings.Contains(strings.ToLower(a.message), "durationseconds")
}

// durationHint is for a duration that is out of range; with is what it is asked for with.
func (a reply) durationHint(with, limit string) string {
	if message := strings.ToLower(a.message); strings.Contains(message, "greater than or equal") || strings.Contains(message, "minimum") {
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

func (a reply) String() string {
	head := foreign(a.code)
	if head == "" {
		head = "refused"
		if a.status != 0 {
			head = fmt.Sprintf("HTTP %d %s", a.status, http.StatusText(a.status))
		}
	}
	if a.message == "" || a.message == a.code || a.message == "UnknownError" {
		return head
	}
	return head + ": " + foreign(a.message)
}

func (s *Source) judgeAnswer(f *found, role *roleError, service string, a reply) verdict {
	text := a.String()
	if a.code == "" {
		text += s.byServer()
	}
	if _, ok := retry.DefaultThrottleErrorCodes[a.code]; ok || a.code == "Throttling" || a.status == http.StatusTooManyRequests || a.status >= 500 {
		return verdict{text: text}
	}
	if v, ok := s.byCode(f, service, a.code); ok {
		v.text = text
		return v
	}
	switch {
	case a.code == "AccessDenied", a.code == "AccessDeniedException", a.status == http.StatusForbidden, a.status == http.StatusUnauthorized:
		return verdict{text, true, s.deniedHint(f, role, service)}
	case strings.Contains(a.message, "role chaining"):
		return verdict{text, true, "--duration 1h: AWS allows no more to a role that is assumed with the credentials of another"}
	case a.aboutDuration():
		return verdict{text, true, a.durationHint("--duration, or duration_seconds in the profile", "the role's maximum")}
	case f.from(aws.CredentialSourceHTTP) && role == nil && (a.status == http.StatusBadRequest):
		return verdict{text, true, s.vars().agentHint()}
	case a.status == http.StatusNotFound, a.status >= 300 && a.status < 400:
		return verdict{text, true, "is that the right endpoint?" + s.endpointHint()}
	case a.status == http.StatusRequestTimeout, a.status == 0:
		return verdict{text: text}
	}
	return verdict{text: text, permanent: true}
}

// byCode knows the codes of STS, SSO and SSO OIDC that need more than
// their status says.
func (s *Source) byCode(f *found, service, code string) (verdict, bool) {
	if f != nil && strings.HasPrefix(service, "SSO") {
		switch code {
		case "UnauthorizedException", "InvalidGrantException", "InvalidClientException", "UnauthorizedClientException", "ExpiredTokenException", "AccessDeniedException":
			return verdict{permanent: true, hint: loginHint(f.login)}, true
		}
	}
	switch code {
	case "ExpiredToken", "ExpiredTokenException":
		return s.expired(f), true
	case "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "InvalidToken", "AuthFailure":
		return verdict{permanent: true, hint: "these keys are not known" + strings.Replace(s.byServer(), "from", "to", 1) + ": deleted, mistyped, or of another endpoint or partition" + s.endpointHint()}, true
	case "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired", "IncompleteSignature":
		if h := skewHint(s.web.skew()); h != "" {
			return verdict{hint: h}, true // a clock is often set soon after a start or a resume
		}
		return verdict{permanent: true, hint: "the secret access key does not belong to the access key id, or the clock is wrong"}, true
	case "RegionDisabledException":
		return verdict{permanent: true, hint: "activate STS for that region in the account, or pass another --region"}, true
	case "MalformedPolicyDocument", "PackedPolicyTooLarge":
		return verdict{permanent: true, hint: "look at the session policy, the policy ARNs and the tags"}, true
	case "IDPCommunicationError":
		return verdict{}, true
	case "InvalidIdentityToken":
		return verdict{permanent: true, hint: "IAM must have an OpenID Connect provider for the token's issuer, with its audience in the list"}, true
	case "IDPRejectedClaim":
		return verdict{permanent: true, hint: "the identity provider does not stand by this token: revoked, or of another configuration"}, true
	case "AssumeRoleUnauthorizedAccess": // of the metadata service
		return verdict{permanent: true, hint: "the trust policy of the instance's role must allow ec2.amazonaws.com"}, true
	}
	return verdict{}, false
}

// expired is for credentials, or a token, that had ended when they were used.
func (s *Source) expired(f *found) verdict {
	switch skew := skewHint(s.web.skew()); {
	case f.from(aws.CredentialSourceEnvVarsSTSWebIDToken, aws.CredentialSourceProfileSTSWebIDToken):
		return verdict{hint: "the token in the web identity token file has ended, and nothing has renewed it"}
	case f.byToken() && f.tokenFile == "":
		return verdict{hint: skew} // the next one may be better
	case f.byToken():
		return verdict{hint: "the token in that file has ended, and nothing has renewed it"}
	case f.from(aws.CredentialSourceIMDS, aws.CredentialSourceHTTP):
		return verdict{hint: skew} // they are renewed by themselves
	case skew != "":
		return verdict{hint: skew}
	}
	return verdict{permanent: true, hint: "the credentials that this was asked with have ended: renew them"}
}

func (f *found) byToken() bool { return f != nil && f.tokenRole != "" }

func (s *Source) deniedHint(f *found, role *roleError, service string) string {
	switch {
	case strings.HasPrefix(service, "SSO"):
		return "this SSO user is not assigned that role in that account (or no longer)"
	case role == nil && f.from(aws.CredentialSourceHTTP):
		return s.vars().agentHint()
	case role == nil, role.step != "":
		return ""
	case len(f.roles) == 0, role.arn == f.tokenRole: // by web identity
		return "the role's trust policy must allow this identity provider, audience and subject"
	}
	who := f.what
	for i := range f.roles {
		if f.roles[i].ARN == role.arn && i > 0 {
			who = f.roles[i-1].ARN
		} else if f.roles[i].ARN == role.arn && f.byToken() {
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

// judgeNetwork is for what keeps an answer from coming.
func (s *Source) judgeNetwork(err error) (verdict, bool) {
	var (
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		invalid x509.CertificateInvalidError
		op      *net.OpError
		timeout net.Error
		proxy   *proxyError
	)
	var record tls.RecordHeaderError
	const proxyHint = "look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
	switch {
	case errors.As(err, &proxy):
		return verdict{proxy.Error(), proxy.status == http.StatusProxyAuthRequired || proxy.status == http.StatusForbidden, proxyHint}, true
	case errors.Is(err, errElsewhere):
		_, status, _ := strings.Cut(err.Error(), errElsewhere.Error()+": ")
		return verdict{status + s.byServer(), true, "is that the right endpoint?" + s.endpointHint()}, true
	case errors.Is(err, errTooLong):
		return verdict{text: errTooLong.Error() + s.byServer()}, true
	case errors.As(err, &dns):
		v := verdict{text: "cannot resolve " + dns.Name}
		if dns.IsNotFound {
			v.hint = "check the network, the region, and any endpoint URL" + s.endpointHint()
		}
		return v, true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return verdict{text: "TLS certificate" + s.byServer() + ": has expired or is not yet valid", hint: "is this machine's clock right?"}, true
	case errors.As(err, &cert):
		hint := cmp.Or(s.caFileHint(), s.vars().caHint(), "set AWS_CA_BUNDLE to the certificates of the authority that signs for this server or proxy")
		return verdict{fmt.Sprintf("TLS certificate%s: %v", s.byServer(), deepest(cert.Err)), true, hint}, true
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return verdict{text: "no TLS" + s.byServer(), hint: "is it an http:// address, or another port?" + s.endpointHint()}, true
	case errors.Is(err, net.ErrClosed), errors.As(err, &timeout) && timeout.Timeout():
		// Closed is what is seen of the client's time limit if it strikes in a read.
		return verdict{text: "no answer in time" + s.byServer()}, true
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return verdict{text: op.Error(), hint: proxyHint}, true
	case errors.As(err, &op) && op.Op == "dial":
		return verdict{text: op.Error()}, true
	case errors.As(err, &op): // without its port of ours, which is another one each time
		return verdict{text: "connection" + strings.Replace(s.byServer(), "from", "to", 1) + ": " + deepest(op).Error()}, true
	case errors.Is(err, io.ErrUnexpectedEOF):
		return verdict{text: "the answer breaks off" + s.byServer()}, true
	case errors.Is(err, io.EOF):
		return verdict{text: "connection closed without an answer" + s.byServer()}, true
	}
	return verdict{}, false
}

// judgeMetadata is for the instance metadata service, the last resort of the SDK's
// chain: on most machines there is none, which then says that nothing else was found.
func (s *Source) judgeMetadata(f *found, err error) (verdict, bool) {
	if f != nil && f.lacks != "" && !s.answered && !s.web.heard() {
		return verdict{f.lacks, true, "add what is missing; in between the instance's role was looked for, and there is none"}, true
	}
	if f.chainEnd() && !s.answered && !s.web.heard() {
		why := "no instance metadata service answers"
		if s.vars().isTrue("AWS_EC2_METADATA_DISABLED") {
			why = "the instance metadata service is disabled"
		}
		where := "in the environment, in the profile, or from a container"
		if s.spec.Profile != "" {
			where = fmt.Sprintf("in profile %q, or from a container", s.spec.Profile)
		}
		return verdict{"no AWS credentials found: none " + where + ", and " + why, true, s.vars().noSourceHint()}, true
	}
	a, ok := answerOf(err)
	switch {
	case ok && a.status == http.StatusNotFound:
		return verdict{"this instance has no role", true, s.vars().noSourceHint()}, true
	case ok && a.code == "" && a.status >= 400:
		return verdict{text: fmt.Sprintf("the instance metadata service answers %d %s", a.status, http.StatusText(a.status))}, true
	}
	return verdict{}, false
}
