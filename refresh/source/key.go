package source

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// key names the credentials of f's first n roles, or for 0 those of the base, by all that
// determines them: where two sources have one key, what is given to one may be given to the
// other. It is a hash, so that it can be shown, and be in the name of a file. Of the
// environment it has what the configuration is read from; a program may go by more of it.
func (s *Source) key(f *resolved, n int) string {
	parts := []any{keyOf(f.baseKey...), s.spec.AssumeLifetime}
	if c := f.clients; c != nil {
		parts = append(parts, c.settings)
		if n > 0 || f.tokenRole != "" {
			parts = append(parts, c.cfg.Region) // that STS is called in
		}
	}
	if n > 0 || n == len(f.roles) {
		parts = append(parts, f.mfa, s.spec.MFA.Session)
	}
	for i := range n {
		r := f.roles[i]
		r.SessionName = s.sessionName(r.SessionName)
		parts = append(parts, r)
	}
	return keyOf(parts...)
}

// keyOf is a key of what credentials, or clients, are made by.
func keyOf(parts ...any) string {
	text, err := json.Marshal(parts)
	if err != nil {
		panic(err) // of our own types
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// clientSettingsKey names the clients that network makes, but for their region.
func (c *chain) clientSettingsKey() string {
	parts := []any{c.env.IgnoreConfiguredEndpoints, c.env.CustomCABundle, c.env.UseDualStackEndpoint, c.env.UseFIPSEndpoint, c.env.EC2IMDSEndpoint, c.env.EC2IMDSEndpointMode, c.env.AppID}
	p, _ := c.profile()
	for _, setting := range []string{"endpoint_url", "ignore_configured_endpoint_urls", "ca_bundle", "sdk_ua_app_id", "ec2_metadata_service_endpoint", "ec2_metadata_service_endpoint_mode", "ec2_metadata_v1_disabled", "use_fips_endpoint", "use_dualstack_endpoint"} {
		parts = append(parts, p.get(setting))
	}
	for _, service := range endpointServices {
		parts = append(parts, c.vars().get("AWS_ENDPOINT_URL"+service))
	}
	for _, path := range []string{c.env.CustomCABundle, p.get("ca_bundle")} {
		parts = append(parts, c.fileFingerprint(path))
	}
	return keyOf(append(parts, c.files.services[p.get("services")].nested)...)
}

// endpointServices are the ends of the variables that name endpoints.
var endpointServices = []string{"", "_STS", "_SSO", "_SSO_OIDC", "_SIGNIN"}
