package source

import (
	"cmp"
	"fmt"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
)

// plaintext is Facts.Plaintext of one source.
func (f *resolved) plaintext(env environ) []string {
	var lines []string
	exposes := func(what, service string, endpoint *string) {
		if endpoint == nil {
			return
		}
		if u, err := url.Parse(*endpoint); err == nil && readable(u) {
			lines = append(lines, fmt.Sprintf("%s %s://%s without encryption (%s): who can read the network can use it", what, u.Scheme, u.Host, cmp.Or(env.endpointVariable(service), "endpoint_url")))
		}
	}
	if f != nil && f.clients != nil {
		to := f.client.Options().BaseEndpoint
		if f.byToken() {
			exposes("the web identity token goes to", "STS", to)
		}
		if f.mfa != "" {
			exposes("the MFA code goes to", "STS", to)
		}
		if len(f.roles) > 0 && len(lines) == 0 {
			exposes("the session of the role comes from", "STS", to)
		}
	}
	if f != nil && f.ssoProfile != "" {
		exposes("the SSO token goes to", "SSO", sso.NewFromConfig(f.cfg).Options().BaseEndpoint)
		exposes("the SSO refresh token goes to", "SSO OIDC", ssooidc.NewFromConfig(f.cfg).Options().BaseEndpoint)
	}
	return lines
}

// readable tells whether what is sent there can be read on the way.
func readable(u *url.URL) bool { return u.Scheme == "http" && !isLoopback(u.Hostname()) }
