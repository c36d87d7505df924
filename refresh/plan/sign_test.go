package plan

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

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
		err     string
		hint    string
	}{
		{name: "nothing set", sign: Sign{Via: "both"}, want: SignSetup{Via: "both", Endpoints: urls{}, OwnEndpoints: true}},
		{
			name: "endpoints by signing names", sign: Sign{Via: "endpoint", Hosts: []string{"a.example"}},
			of: writer.ClientSettings{Endpoints: urls{"": "http://localhost:4566", "DYNAMODB": "https://db.internal:9000", "DYNAMODB_STREAMS": "https://other.internal", "FUTURE_THING": "http://x"}},
			want: SignSetup{
				Via: "endpoint", Hosts: []string{"a.example", "db.internal:9000", "other.internal", "x"}, OwnEndpoints: true,
				Endpoints: urls{"": "http://localhost:4566", "dynamodb": "https://db.internal:9000", "future-thing": "http://x"},
			},
		},
		{
			name: "an endpoint of AWS's own", sign: Sign{Via: "proxy"}, of: writer.ClientSettings{Endpoints: urls{"SQS": "https://sqs.eu-west-1.amazonaws.com"}},
			want: SignSetup{Via: "proxy", Endpoints: urls{"sqs": "https://sqs.eu-west-1.amazonaws.com"}},
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
			name: "this machine, past any proxy", sign: Sign{Via: "proxy"}, of: writer.ClientSettings{Endpoints: urls{"S3": "http://[::1]:9000"}},
			err: "--sign-via proxy: requests to http://[::1]:9000 pass any proxy by", hint: "--sign-via both",
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
				if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
					t.Errorf("%v (-want +got):\n%s", err, diff)
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
