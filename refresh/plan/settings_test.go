package plan

import (
	"errors"
	"log/slog"
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

// TestResolve holds flag > variable > file > default, and who is told to have said it.
func TestResolve(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("region: file\nprofile: file\nstop-signal: INT\ntag: [a=1, 'b=x, y']\npolicy-arn: arn:one\nsubreaper: true\nformat: env\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Resolve(Flags(""), map[string][]string{"region": {"flag"}, "imds-v1": {"false"}}, []string{
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
		"require": "all", "concurrency": "8", "sign-via": "both",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

// TestResolveRefuses: what is said wrongly is laid to the place where it stands.
func TestResolveRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, of, file string
		typed          map[string][]string
		env            []string
		want           string
	}{
		{name: "empty", typed: map[string][]string{"profile": {""}}, want: "--profile is empty"},
		{name: "one of several empty", typed: map[string][]string{"role-arn": {"a", ""}}, want: "--role-arn is empty"},
		{name: "misspelt variable", env: []string{"BRS_EXEC_ROLE_ANR=x"}, want: "no setting is named BRS_EXEC_ROLE_ANR | did you mean BRS_EXEC_ROLE_ARN?"},
		{name: "variable of nothing known", env: []string{"BRS_EXEC_XYZ=x"}, want: "no setting is named BRS_EXEC_XYZ | unset BRS_EXEC_XYZ"},
		{name: "neither true nor false", env: []string{"BRS_EXEC_QUIET=maybe"}, want: `BRS_EXEC_QUIET: quiet is true or false, not "maybe"`},
		{name: "in the file", file: "quiet: maybe\n", want: `F:1: quiet is true or false, not "maybe"`},
		{name: "misspelt key", file: "\nrole-anr: x\n", want: `F:2: no setting is named "role-anr" | did you mean role-arn?`},
		{name: "a file in a file", file: "config: x\n", want: `F:1: no setting is named "config"`},
		{name: "several of one", file: "region: [a, b]\n", want: "F:1: region takes one value, not 2"},
		{name: "no file", typed: map[string][]string{"config": {"/no/such"}}, want: "--config /no/such: no such file or directory"},
		{name: "no file, by a variable", env: []string{"BRS_EXEC_CONFIG=/no/such"}, want: "--config /no/such: no such file or directory (--config is from BRS_EXEC_CONFIG)"},
		{name: "level", env: []string{"BRS_EXEC_LOG_LEVEL=loud"}, want: `--log-level "loud": no such level (--log-level is from BRS_EXEC_LOG_LEVEL) | one of debug, info, warn, error`},
		{name: "format", file: "log-format: xml\n", want: `--log-format "xml": no such format (--log-format is from F:1) | one of text, json`},
		{name: "format of credentials", of: "credentials", typed: map[string][]string{"format": {"csv"}}, want: `--format "csv": no such format | one of process, env, ini`},
		{name: "format of a run", of: "credentials", typed: map[string][]string{"format": {"env"}, "run-dir": {"/r"}}, want: "--run-dir has only --format process"},
		{name: "a run and a source", of: "credentials", typed: map[string][]string{"run-dir": {"/r"}}, env: []string{"BRS_EXEC_PROFILE=p"}, want: "--run-dir takes what a running brs-exec holds; --profile would retrieve from a source"},
		{name: "a run that the command gave", of: "credentials", typed: map[string][]string{"run-dir": {"/r"}}, env: []string{"BRS_EXEC_XYZ=x"}},
		{name: "a hook", typed: map[string][]string{"on-source-ending": {"exec:/no/such a"}}, want: `--on-source-ending runs "/no/such": no such file or directory`},
		{name: "a hook in the path", file: "on-refresh: exec:no-such-program\n", want: `--on-refresh runs "no-such-program": executable file not found in $PATH (--on-refresh is from F:1)`},
		{name: "a hook that is there", typed: map[string][]string{"on-refresh": {"exec:" + os.Args[0]}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "F")
			if tt.file != "" {
				if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
				tt.env = append(tt.env, "BRS_EXEC_CONFIG="+path)
			}
			got := ""
			var wrong *Error
			if err := settleAll(tt.of, tt.typed, tt.env); errors.As(err, &wrong) {
				got = strings.ReplaceAll(wrong.Error(), path, "F")
				if wrong.Hint != "" && strings.Contains(tt.want, " | ") {
					got += " | " + wrong.Hint
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("error %q, want %q", got, tt.want)
			}
		})
	}
}

// settleAll reads all that a subcommand reads.
func settleAll(of string, typed map[string][]string, env []string) error {
	s, err := Resolve(Flags(of), typed, env)
	if err != nil {
		return err
	}
	if of == "credentials" {
		_, _, err = s.Credentials()
		return err
	}
	if _, err := s.Output(); err != nil {
		return err
	}
	p, err := New(s, nil)
	if err != nil {
		return err
	}
	return s.FindHooks(p)
}

// TestSubcommands: what is theirs alone, and what they have otherwise than a run.
func TestSubcommands(t *testing.T) {
	t.Parallel()
	for of, want := range map[string]Output{"": {Level: slog.LevelWarn}, "demo": {Level: slog.LevelError}, "doctor": {Level: slog.LevelWarn}, "credentials": {Level: slog.LevelWarn}} {
		s, err := Resolve(Flags(of), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Output(); got != want || err != nil {
			t.Errorf("%q: output %+v, %v, want %+v", of, got, err, want)
		}
	}
	s, _ := Resolve(Flags("doctor"), map[string][]string{"ask": {"true"}, "log-format": {"json"}, "quiet": {"true"}}, nil)
	if ask, asJSON := s.Doctor(); !ask || asJSON {
		t.Errorf("doctor: ask %v, JSON %v", ask, asJSON)
	}
	if got, err := s.Output(); err != nil || got != (Output{Level: slog.LevelError, JSON: true, Quiet: true}) {
		t.Errorf("output %+v, %v", got, err)
	}
	if s, _ = Resolve(Flags("login"), nil, []string{"BRS_EXEC_PROFILE=p", "BRS_EXEC_DEVICE_CODE=true"}); s.Profile() != "p" {
		t.Errorf("login: profile %q", s.Profile())
	}
	if format, dir, err := settings(t, "credentials", "run-dir", "/r").Credentials(); format != "process" || dir != "/r" || err != nil {
		t.Errorf("credentials: %q of %q, %v", format, dir, err)
	}
	seen := map[string]bool{}
	for _, f := range AllFlags() {
		if seen[f.Name] || f.Usage == "" && !f.Hidden {
			t.Errorf("--%s is there twice, or says nothing", f.Name)
		}
		seen[f.Name] = true
	}
}

// TestWantsJSON: what is said last counts, and the command line before the variable.
func TestWantsJSON(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		words, env string
		want       bool
	}{
		{"", "", false}, {"--log-format json", "", true}, {"-log-format=json --nope", "", true}, {"--log-format", "", false}, {"log-format json", "", false},
		{"", "BRS_EXEC_LOG_FORMAT=json", true}, {"--log-format text", "BRS_EXEC_LOG_FORMAT=json", false}, {"--log-format json --log-format=text", "", false},
		{"", "BRS_EXEC_LOG_LEVEL=json", false},
	} {
		if got := WantsJSON(strings.Fields(test.words), strings.Fields(test.env)); got != test.want {
			t.Errorf("with %q and %q: %v, want %v", test.words, test.env, got, test.want)
		}
	}
}

func settings(t testing.TB, of, name, v string) *Settings {
	t.Helper()
	s, err := Resolve(Flags(of), map[string][]string{name: {v}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
