package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// http2Server is a server behind every name that speaks HTTP/2 to whoever offers it, as
// load balancers do.
type http2Server struct {
	*httptest.Server
	caFile string
	dial   func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	offers [][]string // the protocols that clients offered
}

func serveHTTP2(t *testing.T, h http.Handler) *http2Server {
	t.Helper()
	s := &http2Server{Server: httptest.NewUnstartedServer(h), caFile: filepath.Join(t.TempDir(), "ca.pem")}
	ca, key := newAuthority(t, "ca", nil), ecKey(t)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.offers = append(s.offers, hello.SupportedProtos)
		h := ca.issue(t, "server", key, func(c *x509.Certificate) { c.DNSNames = []string{hello.ServerName} })
		return &tls.Certificate{Certificate: [][]byte{h.cert.Raw}, PrivateKey: h.key}, nil
	}}
	s.StartTLS()
	t.Cleanup(s.Close)
	write(t, s.caFile, pemOf(ca.cert.Raw))
	s.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
	}
	return s
}

// Servers and proxies that prefer HTTP/2 can be talked to, whatever the source.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	anchored := func(t *testing.T) Spec {
		ca := newAuthority(t, "anchor", nil)
		return Spec{RolesAnywhere: &RolesAnywhere{
			Pair:           ca.issue(t, "machine", ecKey(t), nil).writeTo(t, t.TempDir()),
			TrustAnchorARN: testAnchor, ProfileARN: testProfile, RoleARN: roleA,
		}}
	}
	tests := []struct {
		name string
		spec func(t *testing.T) Spec
		// foreign: the server's authority cannot be made known, so that the offer is all there is to see.
		foreign bool
	}{
		{"role", func(t *testing.T) Spec { baseEnv(t); return Spec{Roles: []Role{{ARN: roleA}}} }, false},
		{"chain", func(t *testing.T) Spec { baseEnv(t); return Spec{Roles: []Role{{ARN: roleA}, {ARN: roleB}}} }, false},
		{"MFA session", func(t *testing.T) Spec {
			secret := filepath.Join(mfaEnv(t), "totp")
			write(t, secret, rfcSecret)
			return Spec{MFA: MFA{Serial: device, TOTPFile: secret}}
		}, false},
		{"web identity", func(t *testing.T) Spec {
			path := filepath.Join(t.TempDir(), "token")
			write(t, path, jwt)
			return Spec{WebIdentity: WebIdentity{TokenFile: path}, Roles: []Role{{ARN: roleA}}}
		}, false},
		{"web identity of the environment", func(t *testing.T) Spec {
			path := filepath.Join(t.TempDir(), "token")
			write(t, path, jwt)
			setenv(t, "AWS_WEB_IDENTITY_TOKEN_FILE="+path, "AWS_ROLE_ARN="+roleA)
			return Spec{}
		}, false},
		{"GitHub", func(t *testing.T) Spec {
			setenv(t, githubURL+"=https://token.test/github", githubToken+"="+bearer)
			return Spec{WebIdentity: WebIdentity{GitHub: true}, Roles: []Role{{ARN: roleA}}}
		}, false},
		{"SSO, with a renewal", func(t *testing.T) Spec {
			cached(t, ssoConfig(t), time.Minute)
			setenv(t, "AWS_ENDPOINT_URL_SSO=https://sso.test", "AWS_ENDPOINT_URL_SSO_OIDC=https://oidc.test")
			return Spec{Profile: "app"}
		}, false},
		{"aws login", func(t *testing.T) Spec {
			loggedIn(t, signinConfig(t), "x", time.Minute)
			setenv(t, "AWS_ENDPOINT_URL_SIGNIN=https://signin.test")
			return Spec{Profile: "app"}
		}, false},
		{"IoT", func(t *testing.T) Spec {
			ca := newAuthority(t, "devices", nil)
			return Spec{IoT: &IoT{Pair: ca.issue(t, "device", ecKey(t), nil).writeTo(t, t.TempDir()), Endpoint: "iot.test", RoleAlias: "app"}}
		}, false},
		{"Roles Anywhere", anchored, false},
		{"container", func(t *testing.T) Spec {
			setenv(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI=https://agent.test/creds")
			return Spec{}
		}, true},
		{"instance", func(t *testing.T) Spec {
			setenv(t, "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT=https://imds.test")
			return Spec{}
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			sso := &ssoServer{life: time.Hour}
			signin := &signinServer{life: time.Hour}
			srv := serveHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.Host {
				case "sso.test", "oidc.test":
					sso.ServeHTTP(w, r)
				case "signin.test":
					signin.ServeHTTP(w, r)
				case "token.test":
					fmt.Fprintf(w, `{"value":%q}`, jwt)
				case "iot.test":
					iotAnswer(w, r, "device")
				case "rolesanywhere.eu-west-1.amazonaws.com":
					w.WriteHeader(http.StatusCreated)
					json.NewEncoder(w).Encode(map[string]any{"credentialSet": []any{map[string]any{"credentials": sessionKeys{"ASIARA", roleSecret, roleToken, roleExpires.Format(time.RFC3339)}}}})
				default:
					r.ParseForm()
					stsAnswer(w, r.Form.Get("Action"), time.Hour)
				}
			}))
			spec := tt.spec(t)
			spec.limits.dial = srv.dial
			setenv(t, "AWS_CA_BUNDLE="+srv.caFile)
			if spec.IoT != nil {
				spec.IoT.ThingName = "thing-1"
			}
			c, err := mustNew(t, spec).Retrieve(t.Context())
			if err != nil && !(tt.foreign && (strings.Contains(err.Error(), "unknown authority") || strings.Contains(err.Error(), "no instance metadata"))) {
				t.Errorf("Retrieve = %v", err)
			}
			if err == nil && !strings.HasPrefix(c.AccessKeyID, "ASIA") {
				t.Errorf("key %s, want a session's", c.AccessKeyID)
			}
			srv.mu.Lock()
			defer srv.mu.Unlock()
			if len(srv.offers) == 0 {
				t.Error("the server was not asked")
			}
			if tt.foreign && slices.ContainsFunc(srv.offers, func(o []string) bool { return slices.Contains(o, "h2") }) {
				t.Errorf("offers = %q, want no HTTP/2, which is not spoken", srv.offers)
			}
		})
	}
}
