package source

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlaintext(t *testing.T) {
	t.Parallel()
	const profiles = "[profile sso]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n[sso-session s]\nsso_start_url = https://x.example.com/start\nsso_region = eu-west-1\n" +
		"[profile own]\nservices = mine\naws_access_key_id = AKIABASE\naws_secret_access_key = x\n[services mine]\nsts =\n  endpoint_url = http://sts.example.com/path\n"
	role := []Role{{ARN: "arn:aws:iam::123456789012:role/App"}}
	for _, test := range []struct {
		name string
		env  []string
		spec Spec
		want []string
	}{
		{"keys only sign", []string{"AWS_ENDPOINT_URL=http://192.0.2.10", "AWS_ACCESS_KEY_ID=AKIABASE", "AWS_SECRET_ACCESS_KEY=x"}, Spec{}, nil},
		{"keys only sign, but the answer holds others", []string{"AWS_ENDPOINT_URL=http://192.0.2.10", "AWS_ACCESS_KEY_ID=AKIABASE", "AWS_SECRET_ACCESS_KEY=x"}, Spec{Roles: role}, []string{"the session of the role comes from http://192.0.2.10 without encryption (AWS_ENDPOINT_URL): who can read the network can use it"}},
		{"a token to AWS", nil, Spec{WebIdentity: WebIdentity{TokenFile: "TOKEN"}, Roles: role}, nil},
		{"a token over TLS", []string{"AWS_ENDPOINT_URL_STS=https://192.0.2.10"}, Spec{WebIdentity: WebIdentity{TokenFile: "TOKEN"}, Roles: role}, nil},
		{"a token to this machine", []string{"AWS_ENDPOINT_URL_STS=http://[::1]:9000"}, Spec{WebIdentity: WebIdentity{TokenFile: "TOKEN"}, Roles: role}, nil},
		{"a token", []string{"AWS_ENDPOINT_URL_STS=http://192.0.2.10:9000"}, Spec{WebIdentity: WebIdentity{TokenFile: "TOKEN"}, Roles: role}, []string{"the web identity token goes to http://192.0.2.10:9000 without encryption (AWS_ENDPOINT_URL_STS): who can read the network can use it"}},
		{"a token of a command", []string{"AWS_ENDPOINT_URL=http://user:hunter2!@192.0.2.10"}, Spec{WebIdentity: WebIdentity{Command: []string{"true"}}, Roles: role}, []string{"the web identity token goes to http://192.0.2.10 without encryption (AWS_ENDPOINT_URL): who can read the network can use it"}},
		{"a token by the variables of the SDKs", []string{"AWS_ENDPOINT_URL=http://192.0.2.10", "AWS_ROLE_ARN=arn:aws:iam::123456789012:role/App", "AWS_WEB_IDENTITY_TOKEN_FILE=TOKEN"}, Spec{}, []string{"the web identity token goes to http://192.0.2.10 without encryption (AWS_ENDPOINT_URL): who can read the network can use it"}},
		{"a token that is not for STS", []string{"AWS_ENDPOINT_URL=http://192.0.2.10", "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=TOKEN"}, Spec{Roles: role}, []string{"the session of the role comes from http://192.0.2.10 without encryption (AWS_ENDPOINT_URL): who can read the network can use it"}},
		{"a code", nil, Spec{Profile: "own", MFA: MFA{Serial: "arn:aws:iam::123456789012:mfa/me", Command: []string{"true"}}}, []string{"the MFA code goes to http://sts.example.com without encryption (endpoint_url): who can read the network can use it"}},
		{"a login", []string{"AWS_ENDPOINT_URL_SSO=http://192.0.2.10", "AWS_ENDPOINT_URL_SSO_OIDC=http://192.0.2.11"}, Spec{Profile: "sso"}, []string{
			"the SSO token goes to http://192.0.2.10 without encryption (AWS_ENDPOINT_URL_SSO): who can read the network can use it", "the SSO refresh token goes to http://192.0.2.11 without encryption (AWS_ENDPOINT_URL_SSO_OIDC): who can read the network can use it",
		}},
		{"a login with AWS", nil, Spec{Profile: "sso"}, nil},
		{"the second source", []string{"AWS_ENDPOINT_URL=http://192.0.2.10", "AWS_ACCESS_KEY_ID=AKIABASE", "AWS_SECRET_ACCESS_KEY=x"}, Spec{Else: []Spec{{WebIdentity: WebIdentity{TokenFile: "TOKEN"}, Roles: role}}}, []string{"the web identity token goes to http://192.0.2.10 without encryption (AWS_ENDPOINT_URL): who can read the network can use it"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			config, _ := isolate(t)
			write(t, config, profiles)
			setenv(t, append([]string{"AWS_REGION=eu-west-1"}, test.env...)...)
			token := filepath.Join(t.TempDir(), "token")
			write(t, token, jwt)
			for _, w := range []*WebIdentity{&test.spec.WebIdentity} {
				if w.TokenFile != "" {
					w.TokenFile = token
				}
			}
			for i := range test.spec.Else {
				test.spec.Else[i].WebIdentity.TokenFile = token
			}
			s, err := newIn(t, test.spec)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, s.Facts().Plaintext); diff != "" {
				t.Errorf("Plaintext (-want +got):\n%s", diff)
			}
		})
	}
}
