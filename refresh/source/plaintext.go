package source

import (
	"fmt"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
)

// Plaintext says, a line each, what this source sends to another machine without
// encryption: whoever can read the network can use it, as with keys. Keys
// themselves only sign a request. It asks nobody.
func (s *Source) Plaintext() []string {
	s.mu.Lock()
	f := s.found
	s.mu.Unlock()
	var lines []string
	exposes := func(what string, endpoint *string) {
		if endpoint == nil {
			return
		}
		if u, err := url.Parse(*endpoint); err == nil && plaintext(u) {
			lines = append(lines, fmt.Sprintf("%s goes to %s://%s without encryption", what, u.Scheme, u.Host))
		}
	}
	if f != nil && f.client != nil {
		w, to := s.spec.WebIdentity, f.client.Options().BaseEndpoint
		if f.tokenFile != "" || len(w.Command) > 0 || w.GitHub {
			exposes("the web identity token", to)
		}
		if f.mfa != "" {
			exposes("the MFA code", to)
		}
	}
	if f != nil && f.login != "" {
		exposes("the SSO token", sso.NewFromConfig(f.cfg).Options().BaseEndpoint)
		exposes("the SSO refresh token", ssooidc.NewFromConfig(f.cfg).Options().BaseEndpoint)
	}
	for _, other := range s.others {
		lines = append(lines, other.Plaintext()...)
	}
	return lines
}

// plaintext tells whether what is sent there can be read on the way.
func plaintext(u *url.URL) bool { return u.Scheme == "http" && !isLoopback(u.Hostname()) }
