package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNotSettings: variables that others make are no reason not to start.
func TestNotSettings(t *testing.T) {
	for _, test := range []struct {
		entry string
		known bool
	}{
		{"BRS_EXEC_CLIENTS=/x", true}, {"BRS_EXEC_REQUIRE_CLIENTS=1", true}, {"_BRS_EXEC_STAGE=1", true}, {"BRS_EVENT=refreshed", true},
		{"BRS_EXEC_SERVICE_HOST=10.0.0.1", true}, {"BRS_EXEC_PROXY_SERVICE_PORT_HTTP=80", true}, {"BRS_EXEC_PORT=tcp://10.0.0.1:80", true}, {"BRS_EXEC_PORT_80_TCP_ADDR=10.0.0.1", true},
		{"BRS_EXEC_ROLE_ARN=x", true}, {"BRS_EXEC_DEVICE_CODE=true", true}, {"BRS_EXEC_EMPTY=", true}, {"BRS_EXEC=x", true}, {"brs_exec_x=1", true},
		{"BRS_EXEC_ROLEARN=x", false}, {"BRS_EXEC_=x", false}, {"BRS_EXEC_role_arn=x", false},
	} {
		if err := allKnown([]string{test.entry}); (err == nil) != test.known {
			t.Errorf("with %s: %v, want it known: %v", test.entry, err, test.known)
		}
	}
}

// TestSettle holds flag > variable > file > default, and who is told to have said it.
func TestSettle(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("region: file\nprofile: file\nstop-signal: INT\ntag: [a=1, 'b=x, y']\npolicy-arn: arn:one\nsubreaper: true\nformat: env\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Settle(Flags(""), map[string][]string{"region": {"flag"}, "imds-v1": {"false"}}, []string{
		"BRS_EXEC_CONFIG=" + path, "BRS_EXEC_REGION=env", "BRS_EXEC_PROFILE=env", "BRS_EXEC_ROLE_ARN=arn:one, arn:two",
		"BRS_EXEC_TRANSITIVE_TAG=a, b\nc", "BRS_EXEC_QUIET=1", "BRS_EXEC_LOCK=", "BRS_EXEC_FORMAT=ini",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, v := range s.values {
		if got[name] = strings.Join(v.values, "|"); v.from != "" {
			got[name] += " of " + strings.Replace(v.from, path, "FILE", 1)
		}
	}
	want := map[string]string{
		"region": "flag", "profile": "env of BRS_EXEC_PROFILE", "config": path + " of BRS_EXEC_CONFIG", "quiet": "true of BRS_EXEC_QUIET",
		"role-arn": "arn:one|arn:two of BRS_EXEC_ROLE_ARN", "transitive-tag": "a, b|c of BRS_EXEC_TRANSITIVE_TAG",
		"stop-signal": "INT of FILE:3", "tag": "a=1|b=x, y of FILE:4", "policy-arn": "arn:one of FILE:5", "subreaper": "true of FILE:6",
		"imds-v1": "false", "stop-timeout": "10s", "restart": "never", "deliver": "auto", "log-level": "warn", "log-format": "text",
		"on-refresh": "none", "on-expiry": "keep", "on-source-ending": "none", "on-stale": "warn", "source-ending-before": "1h",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}
