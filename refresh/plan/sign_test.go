package plan

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"brs-exec.example/brs-exec/writer"
)

// TestSignSetup: what the listener is told of the user's settings, and what it cannot work with.
func TestSignSetup(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	type urls = map[string]string
	for _, tt := range []struct {
		name    string
		sign    Sign
		of      writer.ClientSettings
		environ []string
		want    SignSetup
		env     string // what the command has of it
		err     string
		hint    string
	}{
		{name: "nothing set", sign: Sign{Via: "both"}, want: SignSetup{Via: "both", Endpoints: urls{}}},
		{
			name: "endpoints by signing names", sign: Sign{Via: "endpoint", Hosts: []string{"a.example"}},
			of: writer.ClientSettings{Endpoints: urls{"": "http://localhost:4566", "DYNAMODB": "https://db.internal:9000", "DYNAMODB_STREAMS": "https://other.internal", "FUTURE_THING": "http://x"}},
			want: SignSetup{
				Via: "endpoint", Hosts: []string{"a.example", "db.internal:9000", "other.internal", "x"},
				Endpoints: urls{"": "http://localhost:4566", "dynamodb": "https://db.internal:9000", "future-thing": "http://x"},
			},
		},
		{
			name: "an endpoint of AWS's own", sign: Sign{Via: "proxy"}, of: writer.ClientSettings{Endpoints: urls{"SQS": "https://sqs.eu-west-1.amazonaws.com"}},
			want: SignSetup{Via: "proxy", Endpoints: urls{"sqs": "https://sqs.eu-west-1.amazonaws.com"}}, env: "AWS_ENDPOINT_URL_SQS=https://sqs.eu-west-1.amazonaws.com",
		},
		{name: "FIPS", sign: Sign{Via: "both"}, of: writer.ClientSettings{NoEndpoint: "use_fips_endpoint"}, want: SignSetup{Via: "proxy", Endpoints: urls{}}},
		{
			name: "FIPS and the endpoint", sign: Sign{Via: "endpoint"}, of: writer.ClientSettings{NoEndpoint: "use_fips_endpoint"},
			err: "--sign-via endpoint: with use_fips_endpoint SDKs refuse an endpoint of their own", hint: "--sign-via proxy",
		},
		{
			name: "no URL", sign: Sign{Via: "both"}, of: writer.ClientSettings{Endpoints: urls{"": "minio:9000"}},
			err: `AWS_ENDPOINT_URL or endpoint_url: "minio:9000" is not the address of a server`, hint: "write it with its scheme, as in https://s3.example.com",
		},
		{
			name: "this machine, for which no proxy is asked", sign: Sign{Via: "proxy"}, of: writer.ClientSettings{Endpoints: urls{"": "http://x.localhost", "S3": "http://[::1]:9000"}},
			want: SignSetup{Via: "proxy", Endpoints: urls{"": "http://x.localhost", "s3": "http://[::1]:9000"}}, env: "AWS_ENDPOINT_URL=OURS AWS_ENDPOINT_URL_S3=OURS",
		},
		{
			name: "a bundle of nothing", sign: Sign{Via: "both"}, of: writer.ClientSettings{CABundle: empty},
			err: "ca_bundle: " + empty + ": has no certificate in PEM format", hint: "correct ca_bundle of the profile: it names a file of certificates in PEM format",
		},
		{
			name: "a proxy that is none", sign: Sign{Via: "both"}, environ: []string{"HTTPS_PROXY=http://"},
			err: "HTTPS_PROXY is not the URL of a proxy", hint: "correct or unset it",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := (&Plan{Sign: tt.sign}).SignSetup(tt.of, tt.environ)
			if tt.err == "" {
				if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(SignSetup{})); err != nil || diff != "" {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
				if env := strings.Join(got.Env("OURS"), " "); env != tt.env {
					t.Errorf("env = %s, want %s", env, tt.env)
				}
				return
			}
			var wrong *Error
			if !errors.As(err, &wrong) || err.Error() != tt.err || wrong.Hint != tt.hint {
				t.Errorf("%v, want %s with %q", err, tt.err, tt.hint)
			}
		})
	}
}
