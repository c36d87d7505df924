package source

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source/keyfile"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// IoT retrieves from the credentials provider of AWS IoT Core, which knows a device by its
// certificate: docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html
type IoT struct {
	keyfile.Pair

	// Endpoint is the account's host for this, with a port if it is not 443, from
	// aws iot describe-endpoint --endpoint-type iot:CredentialProvider
	Endpoint  string
	RoleAlias string
	ThingName string        // "" if no policy asks for it
	CAFile    string        // PEM of the authorities for Endpoint; "" is AWS_CA_BUNDLE, else the system's
	Duration  time.Duration // whole seconds (AWS: 900 to 43,200); 0 leaves it to the role alias
}

const describeHint = "the credentials endpoint is printed by `aws iot describe-endpoint --endpoint-type iot:CredentialProvider`"

func (i *IoT) validate() error {
	u, err := endpointURL("IoT endpoint", i.Endpoint, false)
	if err != nil {
		return err
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ".iot.") && strings.Contains(host, ".amazonaws.") && !strings.Contains(host, ".credentials.iot.") {
		return refresh.Permanentf(describeHint, "IoT endpoint %s: this is the endpoint for messages (MQTT), or for something else, not the one for credentials", host)
	}
	return i.Pair.Validate()
}

func (i *IoT) describe() string { return fmt.Sprintf("IoT role alias %q", i.RoleAlias) }

// iot retrieves credentials.
func (s *Source) iot(ctx context.Context) (aws.Credentials, error) {
	i := s.spec.IoT
	id, err := s.identity()
	if err != nil {
		return aws.Credentials{}, err
	}
	u, err := endpointURL("IoT endpoint", i.Endpoint, false)
	if err != nil {
		return aws.Credentials{}, err
	}
	u = u.JoinPath("role-aliases", url.PathEscape(i.RoleAlias), "credentials")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return aws.Credentials{}, err
	}
	if i.ThingName != "" {
		req.Header.Set("X-Amzn-Iot-Thingname", i.ThingName)
	}
	if i.Duration > 0 {
		req.Header.Set("X-Amzn-Iot-Credential-Duration-Seconds", strconv.Itoa(int(i.Duration/time.Second)))
	}
	resp, body, err := s.exchange(req, id.TLS(), i.CAFile)
	if err != nil {
		return aws.Credentials{}, id.SignError(err)
	}
	if resp.StatusCode != http.StatusOK {
		return aws.Credentials{}, i.classify(parseRefusal(resp, body), s.fromServer())
	}
	var answer struct{ Credentials sessionKeys }
	if json.Unmarshal(body, &answer) != nil {
		return aws.Credentials{}, s.unreadableAnswer(resp)
	}
	creds, err := answer.Credentials.credentials("IoT")
	if err != nil {
		return creds, s.unreadableAnswer(resp)
	}
	return creds, nil
}

// classify knows the refusals of the service. It gives the same code for several
// causes, so that its message is what tells them apart.
func (i *IoT) classify(a refusal, byServer string) *refresh.Error {
	if a.code != "" || a.message != "" {
		byServer = ""
	}
	e := a.in(transientf("", "%s%s", a, byServer))
	e.Permanent = !a.transient()
	message := strings.ToLower(a.message)
	says := func(part string) bool { return strings.Contains(message, part) }
	switch {
	case !e.Permanent:
	case says("invalid thing name"):
		e.Hint = fmt.Sprintf("thing %q must exist and have this certificate attached: aws iot list-thing-principals --thing-name %s", i.ThingName, i.ThingName)
		if i.ThingName == "" {
			e.Hint = "pass --iot-thing-name with the name of the thing that this certificate is attached to"
		}
	case says("certificate is invalid"):
		e.Hint = "it must be registered and active in the account and region that the endpoint is of; " + describeHint
	case says("role alias does not exist"):
		e.Hint = "`aws iot list-role-aliases` prints those of an account and region: are they the endpoint's?"
	case says("unable to assume the role"):
		e.Hint = "the trust policy of the alias's role must allow credentials.iot.amazonaws.com to sts:AssumeRole"
	case a.aboutDuration():
		e.Hint = a.durationHint("--duration", "the role's maximum or the alias's duration")
	case a.status == http.StatusForbidden:
		e.Hint = fmt.Sprintf("an IoT policy attached to the certificate must allow iot:AssumeRoleWithCertificate on the role alias %q (its conditions may ask for --iot-thing-name)", i.RoleAlias)
	case a.status == http.StatusNotFound, a.status < 400:
		e.Hint = "check the endpoint: " + describeHint
	case a.code == "" && a.message == "":
		e.Hint = "this is no answer of AWS IoT: check the endpoint, and whether a proxy answers in its place"
	}
	return e
}
