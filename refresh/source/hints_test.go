package source

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Hints that say what helps with just this failure.
func TestHints(t *testing.T) {
	t.Parallel()
	const short = "1 validation error detected: Value '60' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"
	refusing := func(t *testing.T, status int, body string) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	tests := []struct {
		name string
		spec func(t *testing.T) Spec
		want string
		hint string
	}{
		{"a session that is too short", func(t *testing.T) Spec {
			baseEnv(t)
			sts := newSTS(t)
			sts.answer = func(w http.ResponseWriter, _ call) bool { return refuse(w, 400, "ValidationError", short) }
			setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
			return Spec{Roles: []Role{{ARN: roleA, Duration: time.Minute}}}
		}, "ValidationError", "ask for a longer session"},
		{"the same, IoT", func(t *testing.T) Spec {
			f := newIoT(t, nil)
			f.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(400)
				fmt.Fprintf(w, `{"message":%q}`, short)
				return true
			}
			return f.spec(t, "device")
		}, "durationSeconds", "ask for a longer session"},
		{"the same, Roles Anywhere", func(t *testing.T) Spec {
			f := newAnywhere(t)
			f.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(400)
				fmt.Fprintf(w, `{"message":%q}`, short)
				return true
			}
			return f.spec(t, ecKey(t))
		}, "durationSeconds", "ask for a longer session"},
		{"address of the portal", func(t *testing.T) Spec {
			cached(t, ssoConfig(t), 8*time.Hour)
			setenv(t, "AWS_ENDPOINT_URL_STS=http://127.0.0.1:1", "AWS_ENDPOINT_URL_SSO="+refusing(t, 404, "x"))
			return Spec{Profile: "app"}
		}, "404", "(AWS_ENDPOINT_URL_SSO is set)"},
		{"address of the token service", func(t *testing.T) Spec {
			cached(t, ssoConfig(t), -time.Minute)
			setenv(t, "AWS_ENDPOINT_URL_SSO_OIDC="+refusing(t, 200, "<html>"))
			return Spec{Profile: "app"}
		}, "unreadable answer", "(AWS_ENDPOINT_URL_SSO_OIDC is set)"},
		{"authority of --ca-file", func(t *testing.T) Spec {
			spec := newIoT(t, nil).spec(t, "device")
			spec.IoT.CAFile = filepath.Join(t.TempDir(), "other.pem")
			write(t, spec.IoT.CAFile, pemOf(newAuthority(t, "other", nil).cert.Raw))
			return spec
		}, "TLS certificate", "--ca-file, "},
		{"no TLS there", func(t *testing.T) Spec {
			baseEnv(t)
			setenv(t, "AWS_ENDPOINT_URL_STS=https"+strings.TrimPrefix(refusing(t, 404, ""), "http"))
			return Spec{Roles: []Role{{ARN: roleA}}}
		}, "no TLS from 127.0.0.1", "http:// address, or another port? (AWS_ENDPOINT_URL_STS is set)"},
		{"no TLS at all", func(t *testing.T) Spec {
			baseEnv(t)
			srv := httptest.NewUnstartedServer(nil)
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.Listener = greeting{srv.Listener}
			srv.Start()
			t.Cleanup(srv.Close)
			setenv(t, "AWS_ENDPOINT_URL_STS=https"+strings.TrimPrefix(srv.URL, "http"))
			return Spec{Roles: []Role{{ARN: roleA}}}
		}, "no TLS from 127.0.0.1", "another port"},
		{"EKS Pod Identity", func(t *testing.T) Spec {
			token := filepath.Join(t.TempDir(), "eks-pod-identity-token")
			write(t, token, jwt)
			setenv(t, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+token, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+refusing(t, 400, `{"code":"AccessDeniedException","message":"x"}`))
			return Spec{}
		}, "AccessDeniedException", "pods.eks.amazonaws.com to sts:AssumeRole and sts:TagSession"},
		{"EKS Pod Identity, no association", func(t *testing.T) Spec {
			token := filepath.Join(t.TempDir(), "eks-pod-identity-token")
			write(t, token, jwt)
			setenv(t, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+token, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+refusing(t, 400, `{"code":"InvalidRequestException","message":"x"}`))
			return Spec{}
		}, "InvalidRequestException", "needs an association"},
		{"ECS", func(t *testing.T) Spec {
			setenv(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+refusing(t, 403, `{"code":"AccessDenied","message":"x"}`))
			return Spec{}
		}, "AccessDenied", "ecs-tasks.amazonaws.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			_, err := mustNew(t, tt.spec(t)).Retrieve(t.Context())
			if e := failure(t, err); !strings.Contains(e.Error(), tt.want) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q, hint %q; want %q, %q", e, e.Hint, tt.want, tt.hint)
			}
		})
	}
}

// Keys of other algorithms are not made readable by another form of them.
func TestOtherAlgorithms(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edwards, err := x509.MarshalPKCS8PrivateKey(ed)
	if err != nil {
		t.Fatal(err)
	}
	mldsa, err := asn1.Marshal(struct { // RFC 9881, ML-DSA-44
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}{0, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 17}}, make([]byte, 34)})
	if err != nil {
		t.Fatal(err)
	}
	for name, der := range map[string][]byte{"Ed25519": edwards, "ML-DSA": mldsa} {
		t.Run(name, func(t *testing.T) {
			isolate(t)
			f := newIoT(t, nil)
			spec := f.spec(t, "device")
			write(t, spec.IoT.PrivateKey, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
			_, err := newIn(t, spec)
			if e := failure(t, err); !strings.Contains(e.Error(), "is neither an RSA nor an EC key") || !strings.Contains(e.Hint, "openssl genpkey") {
				t.Errorf("error %q, hint %q", e, e.Hint)
			}
		})
	}
}

// The address of Roles Anywhere is decided about as that of AWS's other services.
func TestRolesAnywhereAddress(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, flag, partition, env, want string
	}{
		{"region", "", "aws", "", "rolesanywhere.eu-west-1.amazonaws.com"},
		{"FIPS", "", "aws-us-gov", "AWS_USE_FIPS_ENDPOINT=true", "rolesanywhere-fips.eu-west-1.amazonaws.com"},
		{"dual stack", "", "aws", "AWS_USE_DUALSTACK_ENDPOINT=true", "rolesanywhere.eu-west-1.api.aws"},
		{"both", "", "aws", "AWS_USE_DUALSTACK_ENDPOINT=true|AWS_USE_FIPS_ENDPOINT=true", "rolesanywhere-fips.eu-west-1.api.aws"},
		{"China, dual stack", "", "aws-cn", "AWS_USE_DUALSTACK_ENDPOINT=true", "rolesanywhere.eu-west-1.api.amazonwebservices.com.cn"},
		{"iso-e", "", "aws-iso-e", "", "rolesanywhere.eu-west-1.cloud.adc-e.uk"},
		{"iso-f", "", "aws-iso-f", "", "rolesanywhere.eu-west-1.csp.hci.ic.gov"},
		{"its variable", "", "aws", "AWS_ENDPOINT_URL_ROLESANYWHERE=https://ra.example|AWS_ENDPOINT_URL=https://all.example", "ra.example"},
		{"that of all", "", "aws", "AWS_ENDPOINT_URL=https://all.example:8443", "all.example:8443"},
		{"ignored", "", "aws", "AWS_ENDPOINT_URL=https://all.example|AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", "rolesanywhere.eu-west-1.amazonaws.com"},
		{"flag", "vpce.example", "aws", "AWS_ENDPOINT_URL_ROLESANYWHERE=https://ra.example", "vpce.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			if tt.env != "" {
				setenv(t, strings.Split(tt.env, "|")...)
			}
			r := RolesAnywhere{Endpoint: tt.flag, TrustAnchorARN: strings.Replace(testAnchor, "aws", tt.partition, 1)}
			u, err := r.endpoint(envOf(t))
			if err != nil || u.Scheme != "https" || u.Host != tt.want {
				t.Errorf("%v, %v, want %s", u, err, tt.want)
			}
		})
	}
}
