package writer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPrivateLeavesNoOtherSource: each of the settings by which SDKs would get
// the profile's credentials elsewhere is taken out, whatever the program's own
// list of them says.
func TestPrivateLeavesNoOtherSource(t *testing.T) {
	t.Parallel()
	settings := []string{
		"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_security_token", "credential_process",
		"role_arn", "source_profile", "credential_source", "role_session_name", "external_id", "mfa_serial", "duration_seconds",
		"web_identity_token_file", "sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name", "login_session",
	}
	dir := t.TempDir()
	text := strings.Join(settings, " = OTHER\n") + " = OTHER\noutput = json\n"
	config, credentials := filepath.Join(dir, "config"), filepath.Join(dir, "credentials")
	put(t, config, "[profile prod]\n"+text+"[default]\n"+text, 0o600)
	put(t, credentials, "[prod]\n"+text+"[default]\n"+text, 0o600)
	p, err := NewPrivate(Options{Profiles: one("prod", ""), Mode: Auto, Executable: filepath.Join(dir, "brs-exec"), ConfigFile: config, CredentialsFile: credentials, Dirs: []string{t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if err := deliver(p, numbered(1)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{configFile, credentialsFile} {
		data, err := os.ReadFile(filepath.Join(p.Dir(), name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, "OTHER") {
				t.Errorf("%s still has %q", name, line)
			}
		}
		if strings.Count(string(data), "output = json") < 2 {
			t.Errorf("%s has lost what is none of these:\n%s", name, data)
		}
	}
}
