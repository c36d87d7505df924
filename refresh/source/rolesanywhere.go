package source

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source/keyfile"
)

// RolesAnywhere retrieves from IAM Roles Anywhere, which knows a machine by a certificate
// of an authority that the account trusts:
// docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-create-session.html
type RolesAnywhere struct {
	keyfile.Pair

	// Intermediates is a PEM file with the certificates between the machine's and
	// the trust anchor's, "" if there are none but those that follow in Certificate.
	Intermediates string

	TrustAnchorARN string // the request goes to its region
	ProfileARN     string // of a profile of Roles Anywhere
	RoleARN        string

	Endpoint string // "" is the region's

	// SessionName is a template as in [Role.SessionName]. "" is AWS's choice, the
	// certificate's serial number: profiles accept no other name by default.
	SessionName string
	Duration    time.Duration // whole seconds (AWS: 900 to 43,200); 0 leaves it to the profile
}

// chainMax is what the service takes in X-Amz-X509-Chain.
const chainMax = 5

func (r *RolesAnywhere) validate(env environ) error {
	anchor, err := rolesAnywhereARN("trust anchor", "trust-anchor", r.TrustAnchorARN)
	if err != nil {
		return err
	}
	profile, err := rolesAnywhereARN("Roles Anywhere profile", "profile", r.ProfileARN)
	if err != nil {
		return err
	}
	if anchor.region != profile.region {
		return fmt.Errorf("the trust anchor is in %s, and the Roles Anywhere profile in %s: both must be in one region", anchor.region, profile.region)
	}
	if _, err := r.endpoint(env); err != nil {
		return err
	}
	return r.Pair.Validate()
}

type arnParts struct{ partition, region string }

// rolesAnywhereARN takes an ARN apart that is of that kind of resource.
func rolesAnywhereARN(what, kind, arn string) (arnParts, error) {
	p := strings.SplitN(arn, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[2] != "rolesanywhere" || p[3] == "" || !strings.HasPrefix(p[5], kind+"/") {
		return arnParts{}, fmt.Errorf("%s %q: is not arn:aws:rolesanywhere:REGION:ACCOUNT:%s/ID", what, arn, kind)
	}
	return arnParts{p[1], p[3]}, nil
}

// endpoint is the address that was named, by flag or as for all of AWS's services, or
// else that of the trust anchor's region.
func (r *RolesAnywhere) endpoint(env environ) (*url.URL, error) {
	if r.Endpoint != "" {
		return endpointURL("Roles Anywhere endpoint", r.Endpoint, true)
	}
	if name := env.endpointVariable("RolesAnywhere"); name != "" && !env.isTrue("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
		return endpointURL(name, env.get(name), true)
	}
	anchor, err := rolesAnywhereARN("trust anchor", "trust-anchor", r.TrustAnchorARN)
	if err != nil {
		return nil, err
	}
	domain := partitions[anchor.partition].domain
	if env.isTrue("AWS_USE_DUALSTACK_ENDPOINT") {
		domain = partitions[anchor.partition].dualStack
	}
	if domain == "" {
		return nil, fmt.Errorf("partition %q: its Roles Anywhere endpoint is not known: name it", anchor.partition)
	}
	service := "rolesanywhere"
	if env.isTrue("AWS_USE_FIPS_ENDPOINT") {
		service += "-fips"
	}
	return endpointURL("Roles Anywhere endpoint", service+"."+anchor.region+"."+domain, false)
}

func (r *RolesAnywhere) describe() string { return "IAM Roles Anywhere → " + r.RoleARN }

// chain are the certificates that lead from id to the trust anchor. Roots are
// left out: the service has its own.
func (r *RolesAnywhere) chain(id *keyfile.Identity) ([]*x509.Certificate, error) {
	certs := id.Chain
	if r.Intermediates != "" {
		more, err := keyfile.Certificates("intermediates", r.Intermediates)
		if err != nil {
			return nil, err
		}
		certs = append(certs[:len(certs):len(certs)], more...)
	}
	var chain []*x509.Certificate
	seen := map[string]bool{string(id.Leaf.Raw): true}
	for _, c := range certs {
		if !seen[string(c.Raw)] && !bytes.Equal(c.RawSubject, c.RawIssuer) {
			chain = append(chain, c)
		}
		seen[string(c.Raw)] = true
	}
	if len(chain) > chainMax {
		return nil, refresh.Permanentf("leave only those that lead from the certificate to the trust anchor",
			"%d intermediate certificates: the service takes %d at most", len(chain), chainMax)
	}
	return chain, nil
}

// rolesAnywhere retrieves credentials.
func (s *Source) rolesAnywhere(ctx context.Context) (issue, error) {
	r := s.spec.RolesAnywhere
	id, err := s.identity()
	if err != nil {
		return issue{}, err
	}
	chain, err := r.chain(id)
	if err != nil {
		return issue{}, err
	}
	req, body, err := s.sessionRequest(ctx)
	if err != nil {
		return issue{}, err
	}
	anchor, err := rolesAnywhereARN("trust anchor", "trust-anchor", r.TrustAnchorARN)
	if err != nil {
		return issue{}, err
	}
	// A machine without a battery for its clock may be years off; the service
	// takes five minutes, and has told what time it is with its first refusal.
	now := time.Now().Add(-s.web.skew())
	if err := signX509(req, body, id, chain, anchor.region, now); err != nil {
		return issue{}, err
	}
	resp, answer, err := s.exchange(req, nil, "")
	if err != nil {
		return issue{}, err
	}
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusOK {
		return issue{}, r.classify(parseRefusal(resp, answer), s.fromServer(), s.web.skew())
	}
	return s.session(resp, answer)
}

// sessionRequest is the CreateSession that is to be signed.
func (s *Source) sessionRequest(ctx context.Context) (*http.Request, []byte, error) {
	r := s.spec.RolesAnywhere
	u, err := r.endpoint(s.vars())
	if err != nil {
		return nil, nil, err
	}
	u = u.JoinPath("sessions")
	u.RawQuery = canonicalQuery(url.Values{"profileArn": {r.ProfileARN}, "roleArn": {r.RoleARN}, "trustAnchorArn": {r.TrustAnchorARN}})
	in := struct {
		DurationSeconds int    `json:"durationSeconds,omitempty"`
		RoleSessionName string `json:"roleSessionName,omitempty"`
	}{DurationSeconds: int(r.Duration / time.Second)}
	if r.SessionName != "" {
		in.RoleSessionName = s.sessionName(r.SessionName)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return req, body, nil
}

// session reads the answer.
func (s *Source) session(resp *http.Response, body []byte) (issue, error) {
	var answer struct {
		CredentialSet []struct {
			Credentials     sessionKeys
			AssumedRoleUser struct{ Arn string }
		}
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.CredentialSet) == 0 {
		return issue{}, s.unreadableAnswer(resp)
	}
	set := answer.CredentialSet[0]
	creds, err := set.Credentials.credentials("RolesAnywhere")
	if err != nil {
		return issue{}, s.unreadableAnswer(resp)
	}
	creds.AccountID = account(set.AssumedRoleUser.Arn)
	return issuedTo(creds, set.AssumedRoleUser.Arn), nil
}

// classify knows the refusals of the service. AccessDeniedException is the code of
// nearly all, so that the message is what tells them apart.
func (r *RolesAnywhere) classify(a refusal, byServer string, skew time.Duration) *refresh.Error {
	if a.code != "" || a.message != "" {
		byServer = ""
	}
	e := a.in(transientf("", "%s%s", a, byServer))
	e.Permanent = !a.transient()
	message := strings.ToLower(a.message)
	says := func(part string) bool { return strings.Contains(message, part) }
	switch {
	case !e.Permanent:
	case says("untrusted") && says("certificate"), says("insufficient certificate"):
		e.Hint = "no chain leads from the certificate to the trust anchor: does it need --intermediates, is the anchor of this authority, and is it enabled?"
	case says("rolesessionname"):
		e.Hint = "leave out --role-session-name, or let the profile accept it: aws rolesanywhere update-profile --accept-role-session-name"
	case says("attributes fail"):
		e.Hint = "AWS makes tags of the certificate's names, and takes only letters, digits, spaces and _.:/=+-@ in them: change the names, or the profile's attribute mappings"
	case says("unable to assume role"):
		e.Hint = "the role's trust policy must allow rolesanywhere.amazonaws.com to sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity, and the profile must list the role"
	case a.aboutDuration():
		e.Hint = a.durationHint("--duration", "the profile's or the role's maximum")
	case says("signature"), says("x-amz-date"):
		if e.Hint = skewHint(skew); e.Hint != "" {
			e.Permanent = false // the next request goes by the server's clock
		}
	case a.code == "ResourceNotFoundException":
		e.Hint = "are the trust anchor and the profile in this account and region, and enabled?"
	case a.status == http.StatusNotFound, a.status < 400:
		e.Hint = "check the endpoint"
	case a.code == "" && a.message == "":
		e.Hint = "this is no answer of IAM Roles Anywhere: check the endpoint, and whether a proxy answers in its place"
	}
	return e
}

var errKeyKind = errors.New("the key is neither RSA nor EC")
