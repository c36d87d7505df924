package source

import (
	"cmp"
	"fmt"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
)

// Plaintext says, a line each, what this source sends to another machine without
// encryption: whoever can read the network can use it, as with keys. Keys
// themselves only sign a request. It asks nobody.
func (s *Source) Plaintext() []string {
	lines := s.current().plaintext(s.vars())
	for _, other := range s.fallbacks {
		lines = append(lines, other.Plaintext()...)
	}
	return lines
}

func (f *resolved) plaintext(env environ) []string {
	var lines []string
	exposes := func(what, service string, endpoint *string) {
		if endpoint == nil {
			return
		}
		if u, err := url.Parse(*endpoint); err == nil && plaintext(u) {
			lines = append(lines, fmt.Sprintf("%s goes to %s://%s without encryption (%s): who can read the network can use it", what, u.Scheme, u.Host, cmp.Or(env.endpointVariable(service), "endpoint_url")))
		}
	}
	if f != nil && f.client != nil {
		to := f.client.Options().BaseEndpoint
		if f.byToken() {
			exposes("the web identity token", "STS", to)
		}
		if f.mfa != "" {
			exposes("the MFA code", "STS", to)
		}
	}
	if f != nil && f.ssoProfile != "" {
		exposes("the SSO token", "SSO", sso.NewFromConfig(f.cfg).Options().BaseEndpoint)
		exposes("the SSO refresh token", "SSO OIDC", ssooidc.NewFromConfig(f.cfg).Options().BaseEndpoint)
	}
	return lines
}

// plaintext tells whether what is sent there can be read on the way.
func plaintext(u *url.URL) bool { return u.Scheme == "http" && !isLoopback(u.Hostname()) }
