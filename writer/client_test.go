package writer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestClientSettings holds what the user has set for AWS clients against the order in which
// SDKs look for it.
func TestClientSettings(t *testing.T) {
	t.Parallel()
	const config = "[default]\nendpoint_url = http://default\nuse_fips_endpoint = true\n" +
		"[profile prod]\nservices = mine\nendpoint_url = http://all\nca_bundle = /ca\n" +
		"[services mine]\ns3 =\n  endpoint_url = http://s3\nelastic_beanstalk =\n  endpoint_url = http://eb\n" +
		"[profile ignores]\nendpoint_url = http://all\nignore_configured_endpoint_urls = true\nuse_dualstack_endpoint = TRUE\n"
	for _, tt := range []struct {
		name, profile, env string
		want               ClientSettings
	}{
		{"the profile and its services", "prod", "", ClientSettings{
			Endpoints: map[string]string{"": "http://all", "S3": "http://s3", "ELASTIC_BEANSTALK": "http://eb"}, CABundle: "/ca",
		}},
		{"a variable for one service", "prod", "AWS_ENDPOINT_URL_S3=http://x AWS_ENDPOINT_URL_SQS=http://sqs AWS_CA_BUNDLE=/other", ClientSettings{
			Endpoints: map[string]string{"": "http://all", "S3": "http://x", "ELASTIC_BEANSTALK": "http://eb", "SQS": "http://sqs"},
		}},
		{"the variable for all wins over the profile's services", "prod", "AWS_ENDPOINT_URL=http://y AWS_ENDPOINT_URLS=z", ClientSettings{
			Endpoints: map[string]string{"": "http://y"}, CABundle: "/ca",
		}},
		{"ignored by a variable", "prod", "AWS_ENDPOINT_URL=http://y AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=True AWS_USE_FIPS_ENDPOINT=true", ClientSettings{
			Endpoints: map[string]string{}, NoEndpoint: "AWS_USE_FIPS_ENDPOINT", CABundle: "/ca",
		}},
		{"ignored by the profile", "ignores", "", ClientSettings{Endpoints: map[string]string{}, NoEndpoint: "use_dualstack_endpoint"}},
		{"no such profile", "gone", "", ClientSettings{Endpoints: map[string]string{"": "http://default"}, NoEndpoint: "use_fips_endpoint"}},
		{"a variable wins over the profile", "", "AWS_USE_FIPS_ENDPOINT=false", ClientSettings{Endpoints: map[string]string{"": "http://default"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "config")
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			p, err := newPlan(Options{Profiles: one(tt.profile, ""), Mode: File, ConfigFile: file})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, p.ClientSettings(strings.Fields(tt.env))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSignLeavesOut: nothing that the command reads leads its requests past the listener that
// signs them, but what its own profiles say of other things, and other profiles say, stays.
func TestSignLeavesOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	const config = "[DEFAULT]\nendpoint_url = http://a\n[default]\nendpoint_url = http://a\nservices = mine\nmax_attempts = 7\n" +
		"[profile prod]\nendpoint_url = http://b\nignore_configured_endpoint_urls = true\nretry_mode = standard\n" +
		"[profile other]\nservices = mine\nendpoint_url = http://c\naws_secret_access_key = s3kr1t\nAWS_Access_Key_Id = AKIAREAL\naws_session_token=t0k3n\n[services mine]\ns3 =\n  endpoint_url = http://d\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	opt := Options{Profiles: one("prod", ""), Mode: File, OwnKeys: true, OwnEndpoints: true, ConfigFile: file, CredentialsFile: file, Dirs: []string{dir}}
	p, err := NewPrivate(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	const want = "[DEFAULT]\n[default]\nmax_attempts = 7\n" +
		"[profile prod]\nretry_mode = standard\n" +
		"[profile other]\nservices = mine\nendpoint_url = http://c\n[services mine]\ns3 =\n  endpoint_url = http://d\n"
	if diff := cmp.Diff(want, string(p.dir.Content(configFile))); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	for _, secret := range []string{"s3kr1t", "AKIAREAL", "t0k3n"} {
		if strings.Contains(string(p.dir.Content(configFile))+string(p.credentials.Bytes()), secret) {
			t.Errorf("%s is still there:\n%s", secret, p.credentials.Bytes())
		}
	}
	if strings.Contains(strings.Split(string(p.credentials.Bytes()), "[profile other]")[0], "endpoint_url") {
		t.Errorf("the credentials file leads elsewhere:\n%s", p.credentials.Bytes())
	}
	env, scrubbed := p.Env([]string{"AWS_ENDPOINT_URL=a", "AWS_ENDPOINT_URL_S3=b", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", "AWS_ENDPOINT_URLS=c", "AWS_USE_FIPS_ENDPOINT=true"}, "AWS_ENDPOINT_URL=http://127.0.0.1:1")
	if diff := cmp.Diff("AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", strings.Join(scrubbed, " ")); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	if got := strings.Join(env, " "); !strings.HasPrefix(got, "AWS_ENDPOINT_URLS=c AWS_USE_FIPS_ENDPOINT=true ") || !strings.HasSuffix(got, " AWS_ENDPOINT_URL=http://127.0.0.1:1") {
		t.Errorf("env = %s", got)
	}
}
