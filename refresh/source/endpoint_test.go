package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// allNames is a server behind every name that AWS has, and tells which ones were
// dialled: nothing leaves the machine.
type allNames struct {
	limits limits

	mu     sync.Mutex
	dialed []string
}

func newAllNames(t *testing.T, h http.Handler) *allNames {
	t.Helper()
	a := &allNames{}
	ca, key := newAuthority(t, "ca", nil), ecKey(t)
	plain := httptest.NewServer(h)
	secure := httptest.NewUnstartedServer(h)
	secure.TLS = &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		h := ca.issue(t, "server", key, func(c *x509.Certificate) { c.DNSNames = []string{hello.ServerName} })
		return &tls.Certificate{Certificate: [][]byte{h.cert.Raw}, PrivateKey: h.key}, nil
	}}
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	write(t, bundle, pemOf(ca.cert.Raw))
	setenv(t, "AWS_CA_BUNDLE="+bundle)
	a.limits.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		a.mu.Lock()
		a.dialed = append(a.dialed, address)
		a.mu.Unlock()
		to := secure.Listener.Addr().String()
		if strings.HasSuffix(address, ":80") {
			to = plain.Listener.Addr().String()
		}
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}
	return a
}

func (a *allNames) got() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dialed
}

// Which of AWS's own addresses is asked: of the region, of the partition, FIPS, dual
// stack.
func TestAWSAddresses(t *testing.T) {
	t.Parallel()
	const role = "[profile app]\nrole_arn = " + roleA + "\nsource_profile = base\n%s\n[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = " + baseSecret + "\n"
	arn := func(partition string) Spec {
		return Spec{Roles: []Role{{ARN: "arn:" + partition + ":iam::123456789012:role/a"}}}
	}
	tests := []struct {
		name, config string
		env          string
		spec         Spec
		want         string
	}{
		{"region", "", "AWS_REGION=eu-west-1", arn("aws"), "sts.eu-west-1.amazonaws.com:443"},
		{"no region", "", "", arn("aws"), "sts.us-east-1.amazonaws.com:443"},
		{"China", "", "", arn("aws-cn"), "sts.cn-north-1.amazonaws.com.cn:443"},
		{"GovCloud", "", "", arn("aws-us-gov"), "sts.us-gov-west-1.amazonaws.com:443"},
		{"sovereign cloud", "", "", arn("aws-eusc"), "sts.eusc-de-east-1.amazonaws.eu:443"},
		{"isolated cloud E", "", "", arn("aws-iso-e"), "sts.eu-isoe-west-1.cloud.adc-e.uk:443"},
		{"isolated cloud F", "", "", arn("aws-iso-f"), "sts.us-isof-south-1.csp.hci.ic.gov:443"},
		{"FIPS", "", "AWS_REGION=us-east-2|AWS_USE_FIPS_ENDPOINT=true", arn("aws"), "sts-fips.us-east-2.amazonaws.com:443"},
		{"FIPS without a region", "", "AWS_USE_FIPS_ENDPOINT=true", arn("aws"), "sts-fips.us-east-1.amazonaws.com:443"},
		{"FIPS of the profile", fmt.Sprintf(role, "use_fips_endpoint = true\nregion = us-west-2"), "", Spec{Profile: "app"}, "sts-fips.us-west-2.amazonaws.com:443"},
		{"FIPS on top of a profile", "[profile base]\nuse_fips_endpoint = true\nregion = us-west-1\naws_access_key_id = AKIABASE\naws_secret_access_key = " + baseSecret, "",
			Spec{Profile: "base", Roles: []Role{{ARN: roleA}}}, "sts-fips.us-west-1.amazonaws.com:443"},
		{"FIPS for a token", "", "AWS_REGION=us-east-2|AWS_USE_FIPS_ENDPOINT=true",
			Spec{WebIdentity: WebIdentity{TokenFile: "TOKEN"}, Roles: []Role{{ARN: roleA}}}, "sts-fips.us-east-2.amazonaws.com:443"},
		{"FIPS for the environment's token", "", "AWS_REGION=us-east-2|AWS_USE_FIPS_ENDPOINT=true|AWS_WEB_IDENTITY_TOKEN_FILE=TOKEN|AWS_ROLE_ARN=" + roleA + "|AWS_ACCESS_KEY_ID=", Spec{},
			"sts-fips.us-east-2.amazonaws.com:443"},
		{"dual stack", "", "AWS_REGION=eu-west-1|AWS_USE_DUALSTACK_ENDPOINT=true", arn("aws"), "sts.eu-west-1.api.aws:443"},
		{"of one's own", "", "AWS_REGION=eu-west-1|AWS_ENDPOINT_URL_STS=https://vpce-1.sts.eu-west-1.vpce.amazonaws.com", arn("aws"), "vpce-1.sts.eu-west-1.vpce.amazonaws.com:443"},
		{"of one's own, ignored", "", "AWS_REGION=eu-west-1|AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true|AWS_ENDPOINT_URL_STS=https://vpce-1.example.com", arn("aws"), "sts.eu-west-1.amazonaws.com:443"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conf, _ := isolate(t)
			baseEnv(t)
			all := newAllNames(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.ParseForm()
				stsAnswer(w, r.Form.Get("Action"), time.Hour)
			}))
			token := filepath.Join(t.TempDir(), "token")
			write(t, token, jwt)
			write(t, conf, tt.config)
			if tt.env != "" {
				setenv(t, strings.Split(strings.ReplaceAll(tt.env, "TOKEN_FILE=TOKEN", "TOKEN_FILE="+token), "|")...)
			}
			spec := tt.spec
			if spec.WebIdentity.TokenFile != "" {
				spec.WebIdentity.TokenFile = token
			}
			spec.limits = all.limits
			mustRetrieve(t, mustNew(t, spec))
			if diff := cmp.Diff([]string{tt.want}, all.got()); diff != "" {
				t.Errorf("dialled (-want +got):\n%s", diff)
			}
		})
	}
}

// The addresses at which containers and instances find their credentials.
func TestLocalAddresses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, env, want string
		authorization   string
	}{
		{"ECS", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/0a1b", "169.254.170.2:80 /v2/credentials/0a1b", ""},
		{"EKS Pod Identity", "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials|AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=TOKEN", "169.254.170.23:80 /v1/credentials", jwt},
		{"EKS Pod Identity with IPv6", "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://[fd00:ec2::23]/v1/credentials|AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=TOKEN", "[fd00:ec2::23]:80 /v1/credentials", jwt},
		{"instance", "AWS_EC2_METADATA_DISABLED=false", "169.254.169.254:80 /latest/meta-data/iam/security-credentials/instance-role", ""},
		{"instance with IPv6", "AWS_EC2_METADATA_DISABLED=false|AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6", "[fd00:ec2::254]:80 /latest/meta-data/iam/security-credentials/instance-role", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			token := filepath.Join(t.TempDir(), "token")
			write(t, token, jwt)
			setenv(t, strings.Split(strings.ReplaceAll(tt.env, "TOKEN_FILE=TOKEN", "TOKEN_FILE="+token), "|")...)
			var mu sync.Mutex
			last, authorization := "", ""
			all := newAllNames(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodPut:
					w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
					fmt.Fprint(w, "metadata-token")
				case strings.HasSuffix(r.URL.Path, "security-credentials/"):
					fmt.Fprint(w, "instance-role")
				case strings.Contains(r.URL.Path, "credentials"):
					mu.Lock()
					defer mu.Unlock()
					last, authorization = r.URL.Path, r.Header.Get("Authorization")
					fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"ASIA1","SecretAccessKey":%q,"Token":%q,"Expiration":%q}`,
						roleSecret, roleToken, roleExpires.Format(time.RFC3339))
				default:
					fmt.Fprint(w, `{"region":"eu-west-2"}`)
				}
			}))
			mustRetrieve(t, mustNew(t, Spec{limits: all.limits}))
			mu.Lock()
			defer mu.Unlock()
			if got := all.got()[0] + " " + last; got != tt.want || authorization != tt.authorization {
				t.Errorf("asked %q with authorization %q, want %q, %q", got, authorization, tt.want, tt.authorization)
			}
		})
	}
}
