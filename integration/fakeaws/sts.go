package fakeaws

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// sts is a call of the Security Token Service in the query protocol.
type sts struct{ form url.Values }

func (c sts) action() string      { return c.form.Get("Action") }
func (c sts) contentType() string { return "text/xml" }

// params leaves out what is a secret of the caller.
func (c sts) params() url.Values {
	p := url.Values{}
	for name, values := range c.form {
		if name != "WebIdentityToken" && name != "TokenCode" {
			p[name] = values
		}
	}
	return p
}

func (c sts) needsSignature() bool { return c.action() != "AssumeRoleWithWebIdentity" }

// stsRefusals are status, code and message as sts.amazonaws.com sends them.
var stsRefusals = map[verdict]struct {
	status        int
	code, message string
}{
	unsigned:     {403, "MissingAuthenticationToken", "Request is missing Authentication Token"},
	unknownKey:   {403, "InvalidClientTokenId", "The security token included in the request is invalid."},
	wrongToken:   {403, "InvalidClientTokenId", "The security token included in the request is invalid."},
	badSignature: {403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."},
	skewed:       {403, "SignatureDoesNotMatch", "Signature expired: the signing time is too far from the server's"},
	expired:      {403, "ExpiredToken", "The security token included in the request is expired"},
	denied:       {403, "AccessDenied", "User is not authorized to perform this action"},
}

func (c sts) refuse(v verdict, reason string) answer {
	r := stsRefusals[v]
	message := r.message
	if v == denied {
		message = fmt.Sprintf("User: arn:aws:iam::%s:user/ops is not authorized to perform: sts:%s on resource: %s",
			Account, c.action(), c.form.Get("RoleArn"))
	}
	return c.error(r.status, r.code, message, reason)
}

func (c sts) fail(k Kind) answer {
	if k == Throttle {
		return c.error(400, "Throttling", "Rate exceeded", "throttled by the test")
	}
	return c.error(503, "ServiceUnavailable", "Service is unavailable", "made unavailable by the test")
}

func (c sts) error(status int, code, message, reason string) answer {
	body := fmt.Sprintf(`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error>
  <RequestId>%s</RequestId>
</ErrorResponse>
`, escapeXML(code), escapeXML(message), requestID)
	return answer{status: status, body: []byte(body), code: code, reason: reason}
}

func (c sts) do(s *Server, id *identity) answer {
	switch c.action() {
	case "GetCallerIdentity":
		return c.result(fmt.Sprintf("<Arn>%s</Arn><UserId>AIDAFAKE</UserId><Account>%s</Account>", escapeXML(id.arn), Account))
	case "GetSessionToken":
		return c.result(credentialsXML(s.grant(id.arn, c.duration())))
	case "AssumeRole":
		if a, bad := c.checkRole(); bad {
			return a
		}
		return c.assumed(s)
	case "AssumeRoleWithWebIdentity":
		if a, bad := c.checkRole(); bad {
			return a
		}
		if a, bad := c.checkWebIdentity(s); bad {
			return a
		}
		return c.assumed(s)
	}
	return c.error(400, "InvalidAction", "Could not find operation "+c.action(), "unknown action")
}

var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// checkRole refuses what the API reference of AssumeRole calls invalid.
func (c sts) checkRole() (answer, bool) {
	invalid := func(code, message string) (answer, bool) {
		return c.error(400, code, message, "invalid parameter"), true
	}
	if !strings.HasPrefix(c.form.Get("RoleArn"), "arn:") {
		return invalid("ValidationError", c.form.Get("RoleArn")+" is invalid")
	}
	if !sessionName.MatchString(c.form.Get("RoleSessionName")) {
		return invalid("ValidationError", "Value at 'roleSessionName' failed to satisfy constraint: [\\w+=,.@-]{2,64}")
	}
	if p := c.form.Get("Policy"); p != "" && (!json.Valid([]byte(p)) || len(p) > 2048) {
		return invalid("MalformedPolicyDocument", "The policy is not in the valid JSON format.")
	}
	if d := c.form.Get("DurationSeconds"); d != "" {
		if n, err := strconv.Atoi(d); err != nil || n < 1 || n > 43200 {
			return invalid("ValidationError", "Value '"+d+"' at 'durationSeconds' failed to satisfy constraint")
		}
	}
	return answer{}, false
}

func (c sts) checkWebIdentity(s *Server) (answer, bool) {
	s.mu.Lock()
	end, known := s.tokens[c.form.Get("WebIdentityToken")]
	now := s.now()
	s.mu.Unlock()
	if !known {
		return c.error(400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for the issuer", "unknown web identity token"), true
	}
	if !now.Before(end) {
		return c.error(400, "ExpiredTokenException", "Token expired", "expired web identity token"), true
	}
	return answer{}, false
}

// assumed answers with credentials for the role that was asked for.
func (c sts) assumed(s *Server) answer {
	role := c.form.Get("RoleArn")
	name := role[strings.LastIndex(role, "/")+1:]
	arn := fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", Account, name, c.form.Get("RoleSessionName"))
	return c.result(credentialsXML(s.grant(arn, c.duration())) +
		fmt.Sprintf("<AssumedRoleUser><AssumedRoleId>AROAFAKE:%s</AssumedRoleId><Arn>%s</Arn></AssumedRoleUser><PackedPolicySize>0</PackedPolicySize>",
			escapeXML(c.form.Get("RoleSessionName")), escapeXML(arn)))
}

func (c sts) duration() time.Duration {
	n, err := strconv.Atoi(c.form.Get("DurationSeconds"))
	if err != nil {
		n = 3600
	}
	return time.Duration(n) * time.Second
}

// grant issues credentials with the lifetime that the server's options say, or asked.
func (s *Server) grant(arn string, asked time.Duration) Credentials {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life > 0 {
		asked = s.life
	}
	return s.issue("ASIA", arn, asked)
}

func credentialsXML(c Credentials) string {
	return fmt.Sprintf("<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials>",
		c.AccessKeyID, escapeXML(c.SecretAccessKey), escapeXML(c.SessionToken), stamp(c.Expires))
}

func (c sts) result(inner string) answer {
	body := fmt.Sprintf(`<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <%[1]sResult>%[2]s</%[1]sResult>
  <ResponseMetadata><RequestId>%[3]s</RequestId></ResponseMetadata>
</%[1]sResponse>
`, c.action(), inner, requestID)
	return answer{status: http.StatusOK, body: []byte(body)}
}

func escapeXML(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text))
	return b.String()
}
