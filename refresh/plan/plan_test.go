package plan

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/refresh/source/keyfile"
	"brs-exec.example/brs-exec/supervisor"
	"brs-exec.example/brs-exec/writer"
	"brs-exec.example/brs-exec/writer/replace"
	"brs-exec.example/brs-exec/writer/shared"
	"brs-exec.example/brs-exec/writer/sign/services"
)

// values are settings as a test writes them.
type values map[string][]string

// settings are those that say v, and nothing of what is so by default.
func (v values) settings(t testing.TB) *Settings {
	t.Helper()
	s := &Settings{values: map[string]value{}}
	for name, said := range v {
		i := slices.IndexFunc(AllFlags(), func(f *Flag) bool { return f.Name == name })
		if i < 0 {
			t.Fatalf("no flag is named %s", name)
		}
		if AllFlags()[i].Boolean {
			said = []string{"true"}
		}
		s.values[name] = value{values: said, given: true}
	}
	return s
}

func TestNew(t *testing.T) {
	t.Parallel()
	policyFile := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policyFile, []byte("{\n  \"Version\": \"2012-10-17\"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const app = "arn:aws:iam::123456789012:role/App"
	for _, test := range []struct {
		name string
		in   values
		want Plan
	}{
		{"nothing", values{}, Plan{}},
		{"profile", values{"profile": {"prod"}, "region": {"eu-west-1"}}, Plan{Profiles: []Profile{{Source: source.Spec{Profile: "prod", Region: "eu-west-1"}}}}},
		{"a chain: each option goes to the role that it is for", values{
			"role-arn": {"arn:aws:iam:::role/hop", app}, "role-session-name": {"{user}"}, "external-id": {"x"},
			"duration": {"1h"}, "policy": {"@" + policyFile}, "policy-arn": {"arn:aws:iam::aws:policy/ReadOnlyAccess"},
			"tag": {"team=data", "path=a=b"}, "transitive-tag": {"team"}, "source-identity": {"ci"},
			"provided-context": {"arn:aws:iam::aws:contextProvider/IdentityCenter=/run/a=b"},
		}, Plan{Profiles: []Profile{{Source: source.Spec{SessionName: "{user}", Roles: []source.Role{
			{
				ARN: "arn:aws:iam:::role/hop", SessionName: "{user}", SourceIdentity: "ci",
				Tags: map[string]string{"team": "data"}, TransitiveTags: []string{"team"},
			},
			{
				ARN: app, SessionName: "{user}", ExternalID: "x", Duration: time.Hour,
				Policy: `{"Version":"2012-10-17"}`, PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"},
				Tags:             map[string]string{"path": "a=b"},
				ProvidedContexts: []source.ProvidedContext{{ProviderARN: "arn:aws:iam::aws:contextProvider/IdentityCenter", File: "/run/a=b"}},
			},
		}}}}}},
		{"a command", values{"credential-command": {`vault read -field "a b" x`}, "assume-lifetime": {"45m"}}, Plan{Profiles: []Profile{{Source: source.Spec{Command: []string{"vault", "read", "-field", "a b", "x"}, AssumeLifetime: 45 * time.Minute}}}}},
		{"a token file", values{"web-identity-token-file": {"/t"}, "role-arn": {app}, "duration": {"2h"}}, Plan{Profiles: []Profile{{Source: source.Spec{
			WebIdentity: source.WebIdentity{TokenFile: "/t"}, Roles: []source.Role{{ARN: app, Duration: 2 * time.Hour}},
		}}}}},
		{"tokens of GitHub for a chain", values{"github-oidc": {"true"}, "audience": {"a"}, "role-arn": {"arn:aws:iam:::role/hop", app}, "external-id": {"x"}}, Plan{Profiles: []Profile{{Source: source.Spec{
			WebIdentity: source.WebIdentity{GitHub: true, Audience: "a"},
			Roles:       []source.Role{{ARN: "arn:aws:iam:::role/hop"}, {ARN: app, ExternalID: "x"}},
		}}}}},
		{"a token command", values{"web-identity-token-command": {"buildkite-agent oidc request-token"}, "role-arn": {app}}, Plan{Profiles: []Profile{{Source: source.Spec{
			WebIdentity: source.WebIdentity{Command: []string{"buildkite-agent", "oidc", "request-token"}}, Roles: []source.Role{{ARN: app}},
		}}}}},
		{"IoT Core", values{
			"iot-endpoint": {"x.credentials.iot.eu-west-1.amazonaws.com"}, "iot-role-alias": {"app"}, "iot-thing-name": {"t"}, "ca-file": {"ca"},
			"certificate": {"c"}, "private-key": {"k"}, "private-key-passphrase-file": {"p"}, "duration": {"15m"},
		}, Plan{Profiles: []Profile{{Source: source.Spec{IoT: &source.IoT{
			Pair: keyfile.Pair{Certificate: "c", PrivateKey: "k", Passphrase: "p"}, Endpoint: "x.credentials.iot.eu-west-1.amazonaws.com",
			RoleAlias: "app", ThingName: "t", CAFile: "ca", Duration: 15 * time.Minute,
		}}}}}},
		{"IoT Core with a role on top, whose the duration is", values{
			"iot-endpoint": {"x"}, "iot-role-alias": {"app"}, "certificate": {"c"}, "private-key": {"k"}, "duration": {"15m"}, "role-arn": {app},
		}, Plan{Profiles: []Profile{{Source: source.Spec{
			IoT:   &source.IoT{Pair: keyfile.Pair{Certificate: "c", PrivateKey: "k"}, Endpoint: "x", RoleAlias: "app"},
			Roles: []source.Role{{ARN: app, Duration: 15 * time.Minute}},
		}}}}},
		{"Roles Anywhere", values{
			"trust-anchor-arn": {"ta"}, "rolesanywhere-profile-arn": {"pr"}, "rolesanywhere-endpoint": {"https://x"}, "intermediates": {"i"},
			"certificate": {"c"}, "private-key": {"k"}, "role-arn": {app}, "role-session-name": {"{host}"}, "duration": {"1h"},
		}, Plan{Profiles: []Profile{{Source: source.Spec{RolesAnywhere: &source.RolesAnywhere{
			Pair: keyfile.Pair{Certificate: "c", PrivateKey: "k"}, Intermediates: "i", TrustAnchorARN: "ta", ProfileARN: "pr",
			RoleARN: app, Endpoint: "https://x", SessionName: "{host}", Duration: time.Hour,
		}}}}}},
		{"Roles Anywhere and a chain from it", values{
			"trust-anchor-arn": {"ta"}, "rolesanywhere-profile-arn": {"pr"}, "certificate": {"c"}, "private-key": {"k"},
			"role-arn": {"arn:aws:iam:::role/hop", app}, "external-id": {"x"}, "duration": {"1h"},
		}, Plan{Profiles: []Profile{{Source: source.Spec{
			RolesAnywhere: &source.RolesAnywhere{
				Pair: keyfile.Pair{Certificate: "c", PrivateKey: "k"}, TrustAnchorARN: "ta", ProfileARN: "pr", RoleARN: "arn:aws:iam:::role/hop",
			},
			Roles: []source.Role{{ARN: app, ExternalID: "x", Duration: time.Hour}},
		}}}}},
		{"MFA", values{"profile": {"a"}, "mfa-serial": {"arn:aws:iam::1:mfa/a"}, "mfa-command": {"ykman oath accounts code -s aws"}, "mfa-session": {"36h"}}, Plan{Profiles: []Profile{{Source: source.Spec{
			Profile: "a", MFA: source.MFA{Serial: "arn:aws:iam::1:mfa/a", Command: []string{"ykman", "oath", "accounts", "code", "-s", "aws"}, Session: 36 * time.Hour},
		}}}}},
		{"MFA of a profile", values{"profile": {"a"}, "mfa-totp-file": {"/f"}}, Plan{Profiles: []Profile{{Source: source.Spec{Profile: "a", MFA: source.MFA{TOTPFile: "/f"}}}}}},
		{"a name for the role of a profile", values{"profile": {"a"}, "role-session-name": {"{host}"}}, Plan{Profiles: []Profile{{Source: source.Spec{Profile: "a", SessionName: "{host}"}}}}},
		{"a name for roles that the configuration may have", values{"source": {"iot,chain"}, "iot-endpoint": {"x"}, "iot-role-alias": {"app"}, "certificate": {"c"}, "private-key": {"k"}, "role-session-name": {"x"}}, Plan{Profiles: []Profile{{Source: source.Spec{
			IoT: &source.IoT{Pair: keyfile.Pair{Certificate: "c", PrivateKey: "k"}, Endpoint: "x", RoleAlias: "app"}, Else: []source.Spec{{SessionName: "x"}},
		}}}}},
		{"a file", values{"from-file": {"/f"}, "from-profile": {"saml"}}, Plan{Profiles: []Profile{{Source: source.Spec{File: "/f", FileProfile: "saml"}}}}},
		{"an order", values{
			"source": {"iot, profile:backup,chain"}, "iot-endpoint": {"x"}, "iot-role-alias": {"app"}, "certificate": {"c"}, "private-key": {"k"}, "role-arn": {app}, "mfa-serial": {"m"},
		}, Plan{Profiles: []Profile{{Source: source.Spec{
			IoT: &source.IoT{Pair: keyfile.Pair{Certificate: "c", PrivateKey: "k"}, Endpoint: "x", RoleAlias: "app"}, Roles: []source.Role{{ARN: app}},
			Else: []source.Spec{
				{Profile: "backup", Roles: []source.Role{{ARN: app}}, MFA: source.MFA{Serial: "m"}},
				{Roles: []source.Role{{ARN: app}}, MFA: source.MFA{Serial: "m"}},
			},
		}}}}},
		{"an order of a token and a file", values{"source": {"github-oidc,file:a"}, "github-oidc": {"true"}, "from-file": {"/f"}, "role-arn": {app}}, Plan{Profiles: []Profile{{Source: source.Spec{
			WebIdentity: source.WebIdentity{GitHub: true}, Roles: []source.Role{{ARN: app}},
			Else: []source.Spec{{File: "/f", FileProfile: "a", Roles: []source.Role{{ARN: app}}}},
		}}}}},
		{"reactions", values{"on-refresh": {"signal:HUP!"}, "on-expiry": {"signal:SIGTERM"}, "stop-signal": {"3"}}, Plan{Profiles: []Profile{{OnRefresh: Reaction{Act: Signal, Signal: syscall.SIGHUP, Force: true}, OnExpiry: Reaction{Act: Signal, Signal: syscall.SIGTERM}}}, Child: supervisor.Options{StopSignal: syscall.SIGQUIT, Once: true}}},
		{"a hook and a stop", values{"on-refresh": {`exec:sh -c "echo hi > /dev/null"`}, "on-expiry": {"stop"}}, Plan{Profiles: []Profile{{OnRefresh: Reaction{Act: Exec, Argv: []string{"sh", "-c", "echo hi > /dev/null"}}, OnExpiry: Reaction{Act: Stop}}}, Child: supervisor.Options{Once: true}}},
		{"the end of the source", values{"source-ending-before": {"90m"}, "on-source-ending": {"exec:notify-send 'log in'"}}, Plan{Profiles: []Profile{{OnSourceEnding: Reaction{Act: Exec, Argv: []string{"notify-send", "log in"}}}}, Child: supervisor.Options{Once: true}, EndingBefore: 90 * time.Minute}},
		{"supervision", values{
			"stop-timeout": {"5s"}, "pdeathsig": {"KILL"}, "signal-group": {"1"}, "subreaper": {"1"}, "stop-orphans": {"2s"},
			"rewrite-signal": {"TERM:QUIT", "HUP:0", "INT:"}, "restart": {"on-failure"}, "restart-max": {"3"},
		}, Plan{Subreaper: true, Child: supervisor.Options{
			StopTimeout: 5 * time.Second, Pdeathsig: syscall.SIGKILL, SignalGroup: true, StopOrphans: 2 * time.Second,
			Rewrite: map[syscall.Signal]syscall.Signal{syscall.SIGTERM: syscall.SIGQUIT, syscall.SIGHUP: 0, syscall.SIGINT: 0},
			Restart: supervisor.Restart{Policy: supervisor.RestartOnFailure, Max: 3},
		}}},
		{"descendants", values{"wait-for-descendants": {"1"}}, Plan{Subreaper: true, Child: supervisor.Options{WaitOrphans: true, Once: true}}},
		{"variables, and a restart at each refresh", values{"deliver": {"env"}, "on-refresh": {"restart"}, "on-expiry": {"restart"}}, Plan{Profiles: []Profile{{OnRefresh: Reaction{Act: Restart}, OnExpiry: Reaction{Act: Restart}}}, Deliver: Delivery{Name: "env", Files: writer.Endpoint, Env: true}}},
		{"a file of the user's", values{"credentials-file": {"/x/y"}}, Plan{Shared: Shared{Path: "/x/y", Section: "default", AtExit: shared.Restore}}},
		{"a file for others", values{
			"credentials-file": {"/x/y"}, "credentials-file-profile": {"app"}, "credentials-file-at-exit": {"leave"}, "file-mode": {"640"}, "file-owner": {"1000:7"},
		}, Plan{Shared: Shared{Path: "/x/y", Section: "app", AtExit: shared.Leave, Perm: 0o640, Owner: &replace.Owner{UID: 1000, GID: 7}}}},
		{"a file for a group", values{"credentials-file": {"/x"}, "credentials-file-at-exit": {"remove"}, "file-owner": {":7"}}, Plan{
			Shared: Shared{Path: "/x", Section: "default", AtExit: shared.Remove, Owner: &replace.Owner{UID: -1, GID: 7}},
		}},
		{"stale", values{"on-stale": {"signal:HUP!"}}, Plan{Profiles: []Profile{{OnStale: Reaction{Act: Signal, Signal: syscall.SIGHUP, Force: true}}}}},
		{"stale as by default", values{"on-stale": {"warn"}}, Plan{Profiles: []Profile{{OnStale: Reaction{Act: Warn}}}}},
		{"stale, let be", values{"on-stale": {"none"}}, Plan{}},
		{"stale, started again", values{"restart": {"never"}, "on-stale": {"restart"}}, Plan{Profiles: []Profile{{OnStale: Reaction{Act: Restart}}}}},
		{"metadata of both versions", values{"deliver": {"imds"}, "imds-v1": {"1"}}, Plan{
			Deliver: Delivery{Name: "imds", Files: writer.Endpoint, IMDS: true, V1: true},
		}},
		{"delivery", values{"deliver": {"file"}, "as-profile": {"a", "b"}, "keep-imds": {"true"}}, Plan{
			Deliver: Delivery{Name: "file", Files: writer.File}, As: []string{"a", "b"}, KeepIMDS: true,
		}},
		{"signatures", values{"deliver": {"sign"}}, Plan{
			Deliver: Delivery{Name: "sign", Files: writer.File, Sign: true}, Sign: Sign{Via: "both"},
		}},
		{"signatures, limited", values{"deliver": {"sign"}, "sign-only": {"s3,sqs@eu-west-1", "*@us-east-1"}, "sign-host": {"Minio.internal:9000", "s3.example.com", "[::1]:9000", "10.0.0.1"}, "sign-via": {"proxy"}}, Plan{
			Deliver: Delivery{Name: "sign", Files: writer.File, Sign: true},
			Sign:    Sign{Only: limits(t, "s3,sqs@eu-west-1,*@us-east-1"), Hosts: []string{"minio.internal:9000", "s3.example.com", "[::1]:9000", "10.0.0.1"}, Via: "proxy"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := New(test.in.settings(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			if test.want.Profiles == nil {
				test.want.Profiles = []Profile{{}}
			}
			if test.in["on-stale"] == nil {
				test.want.Profiles[0].OnStale = Reaction{Act: Warn}
			}
			if test.in["deliver"] == nil {
				test.want.Deliver = Delivery{Name: "auto", Files: writer.Auto, Endpoint: true}
			}
			if test.in["restart"] == nil && test.in["on-refresh"] == nil {
				test.want.Child.Once = true
			}
			if diff := cmp.Diff(&test.want, got, cmpopts.IgnoreUnexported(source.Spec{}), cmp.Exporter(func(t reflect.Type) bool { return t.PkgPath() == reflect.TypeFor[services.Limits]().PkgPath() })); diff != "" {
				t.Errorf("New(%v) (-want +got):\n%s", test.in, diff)
			}
		})
	}
}

func limits(t *testing.T, list string) services.Limits {
	l, err := services.ParseLimits(list)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	const app = "arn:aws:iam::123456789012:role/App"
	for _, test := range []struct {
		name string
		in   values
		want string
	}{
		{"two sources", values{"profile": {"a"}, "credential-command": {"b"}}, "--profile and --credential-command are two sources; name one"},
		{"two other sources", values{"from-file": {"a"}, "github-oidc": {"true"}}, "--github-oidc and --from-file are two sources; name one"},
		{"token without role", values{"web-identity-token-file": {"a"}}, "--web-identity-token-file needs --role-arn"},
		{"GitHub without role", values{"github-oidc": {"true"}}, "--github-oidc needs --role-arn"},
		{"audience", values{"audience": {"a"}, "web-identity-token-file": {"a"}, "role-arn": {app}}, "--audience needs --github-oidc"},
		{"token and tags", values{"github-oidc": {"true"}, "role-arn": {app}, "tag": {"a=b"}}, "--tag cannot be given with a web identity"},
		{"token and external id", values{"github-oidc": {"true"}, "role-arn": {app}, "external-id": {"a"}}, "--external-id cannot be given with a web identity"},
		{"token command", values{"web-identity-token-command": {"a | b"}, "role-arn": {app}}, `--web-identity-token-command "a | b": no shell reads this, so | & ; < > mean nothing`},
		{"IoT and a profile", values{"profile": {"a"}, "iot-endpoint": {"b"}}, "--profile and --iot-endpoint are two sources; name one"},
		{"IoT and Roles Anywhere", values{"iot-role-alias": {"a"}, "intermediates": {"b"}}, "--iot-role-alias and --intermediates are of two sources; name one"},
		{"IoT and Roles Anywhere in full", values{"iot-endpoint": {"a"}, "trust-anchor-arn": {"b"}}, "--iot-endpoint and --trust-anchor-arn are two sources; name one"},
		{"IoT without alias", values{"iot-endpoint": {"a"}, "certificate": {"c"}}, "--iot-endpoint needs --iot-role-alias"},
		{"IoT without key", values{"iot-endpoint": {"a"}, "iot-role-alias": {"a"}, "certificate": {"c"}}, "--iot-endpoint needs --private-key"},
		{"IoT thing only", values{"iot-thing-name": {"a"}}, "--iot-endpoint is missing"},
		{"IoT session name", values{"iot-endpoint": {"a"}, "iot-role-alias": {"a"}, "certificate": {"c"}, "private-key": {"k"}, "role-session-name": {"x"}}, "--role-session-name needs --role-arn"},
		{"IoT duration", values{"iot-endpoint": {"a"}, "iot-role-alias": {"a"}, "certificate": {"c"}, "private-key": {"k"}, "duration": {"900"}}, `--duration "900": not a duration`},
		{"certificate alone", values{"certificate": {"a"}}, "--certificate needs --iot-endpoint or --trust-anchor-arn"},
		{"Roles Anywhere without profile", values{"trust-anchor-arn": {"a"}}, "--trust-anchor-arn needs --rolesanywhere-profile-arn"},
		{"Roles Anywhere without role", values{"trust-anchor-arn": {"a"}, "rolesanywhere-profile-arn": {"a"}, "certificate": {"c"}, "private-key": {"k"}}, "--trust-anchor-arn needs --role-arn"},
		{"Roles Anywhere with tags", values{"trust-anchor-arn": {"a"}, "rolesanywhere-profile-arn": {"a"}, "certificate": {"c"}, "private-key": {"k"}, "role-arn": {app}, "tag": {"a=b"}}, "--tag cannot be given with IAM Roles Anywhere"},
		{"two kinds of codes", values{"mfa-command": {"a"}, "mfa-totp-file": {"b"}}, "--mfa-command and --mfa-totp-file cannot both give the codes"},
		{"MFA session of a split second", values{"mfa-session": {"1ms"}}, `--mfa-session "1ms": not a valid session duration`},
		{"MFA session too long for a request", values{"mfa-session": {"600000h"}}, `--mfa-session "600000h": not a valid session duration`},
		{"command without a name", values{"credential-command": {`"" a`}}, `--credential-command "\"\" a": no command in it`},
		{"token command without a name", values{"web-identity-token-command": {`""`}, "role-arn": {app}}, `--web-identity-token-command "\"\"": no command in it`},
		{"MFA command without a name", values{"mfa-command": {`""`}}, `--mfa-command "\"\"": no command in it`},
		{"token and source identity", values{"github-oidc": {"true"}, "role-arn": {app}, "source-identity": {"a"}}, "--source-identity cannot be given with a web identity"},
		{"IoT with a split second", values{"iot-endpoint": {"a"}, "iot-role-alias": {"a"}, "certificate": {"c"}, "private-key": {"k"}, "duration": {"1500ms"}}, `--duration "1500ms": not a valid session duration`},
		{"MFA session", values{"mfa-session": {"0s"}}, `--mfa-session "0s": not a valid session duration`},
		{"MFA command", values{"mfa-command": {"a > b"}}, `--mfa-command "a > b": no shell reads this, so | & ; < > mean nothing`},
		{"order of the unknown", values{"source": {"ftp"}}, `--source "ftp": no such kind`},
		{"empty order", values{"source": {"chain,"}}, `--source "": no such kind`},
		{"order with a name too many", values{"source": {"iot:x"}}, `--source "iot:x": iot takes no name`},
		{"order without its settings", values{"source": {"chain,command"}}, `--source "chain,command": command needs --credential-command`},
		{"order that leaves one out", values{"source": {"chain"}, "profile": {"a"}}, `--profile is of profile, which --source "chain" does not name`},
		{"order with one twice", values{"source": {"chain,chain"}}, `--source "chain,chain": chain is named twice`},
		{"order with a mistake in it", values{"source": {"chain,web-identity"}, "web-identity-token-file": {"a"}}, "--web-identity-token-file needs --role-arn"},
		{"profile of no file", values{"from-profile": {"a"}}, "--from-profile needs --from-file"},
		{"short ARN", values{"role-arn": {"arn:aws:iam::x"}}, `--role-arn "arn:aws:iam::x": not an ARN`},
		{"no ARN", values{"role-arn": {"App"}}, `--role-arn "App": not an ARN`},
		{"role setting without role", values{"external-id": {"x"}}, "--external-id needs --role-arn"},
		{"repeatable role setting without role", values{"tag": {"a=b"}}, "--tag needs --role-arn"},
		{"duration without unit", values{"role-arn": {app}, "duration": {"3600"}}, `--duration "3600": not a duration`},
		{"no duration", values{"min-ttl": {"soon"}}, `--min-ttl "soon": not a duration`},
		{"negative duration", values{"stop-timeout": {"-1s"}}, `--stop-timeout "-1s": a duration cannot be negative`},
		{"split second session", values{"role-arn": {app}, "duration": {"1500ms"}}, `--duration "1500ms": not a valid session duration`},
		{"policy", values{"role-arn": {app}, "policy": {"{"}}, "--policy not JSON: unexpected end of JSON input"},
		{"policy file", values{"role-arn": {app}, "policy": {"@/nowhere"}}, "--policy /nowhere: no such file or directory"},
		{"tag", values{"role-arn": {app}, "tag": {"x"}}, `--tag "x": not KEY=VALUE`},
		{"tag twice", values{"role-arn": {app}, "tag": {"x=1", "x=2"}}, "--tag x is given twice"},
		{"context", values{"role-arn": {app}, "provided-context": {"arn:aws:iam::aws:contextProvider/IdentityCenter"}}, "--provided-context not ARN=FILE"},
		{"context and no role", values{"provided-context": {"a=b"}}, "--provided-context needs --role-arn"},
		{"context of a token", values{"role-arn": {app}, "github-oidc": {"true"}, "provided-context": {"arn:aws:iam::aws:contextProvider/IdentityCenter=f"}}, "--provided-context cannot be given with a web identity"},
		{"transitive", values{"role-arn": {app}, "transitive-tag": {"x"}}, `--transitive-tag "x": no such --tag`},
		{"pipe", values{"credential-command": {"a | b"}}, `--credential-command "a | b": no shell reads this, so | & ; < > mean nothing`},
		{"quote", values{"credential-command": {`a "b`}}, `--credential-command "a \"b": a quote is not closed`},
		{"blank command", values{"credential-command": {" "}}, `--credential-command " ": no command in it`},
		{"reaction", values{"on-refresh": {"reload"}}, `--on-refresh "reload": no such reaction`},
		{"signal", values{"on-refresh": {"signal:FOO"}}, `--on-refresh "signal:FOO": no such signal`},
		{"hook without command", values{"on-refresh": {"exec:"}}, `--on-refresh "exec:": no command in it`},
		{"expiry", values{"on-expiry": {"die"}}, `--on-expiry "die": no such reaction`},
		{"end of the source", values{"on-source-ending": {"stop"}}, `--on-source-ending "stop": no such reaction`},
		{"hook for the end of the source", values{"on-source-ending": {"exec:a | b"}}, `--on-source-ending "exec:a | b": no shell reads this, so | & ; < > mean nothing`},
		{"stale", values{"on-stale": {"stop"}}, `--on-stale "stop": no such reaction`},
		{"stale signal", values{"on-stale": {"signal:"}}, `--on-stale "signal:": no such signal`},
		{"stop signal", values{"stop-signal": {"NOPE"}}, `--stop-signal "NOPE": no such signal`},
		{"no restart for variables", values{"deliver": {"env"}}, "--deliver env: variables cannot be changed in a command that runs"},
		{"metadata version 1 alone", values{"imds-v1": {"1"}}, "--imds-v1 needs --deliver imds"},
		{"limits without signatures", values{"sign-only": {"s3"}}, "--sign-only needs --deliver sign"},
		{"hosts without signatures", values{"sign-host": {"a.example"}, "deliver": {"file"}}, "--sign-host needs --deliver sign"},
		{"a way without signatures", values{"sign-via": {"both"}}, "--sign-via needs --deliver sign"},
		{"no such way", values{"deliver": {"sign"}, "sign-via": {"mail"}}, `--sign-via "mail": no such way`},
		{"signatures in others' file", values{"deliver": {"sign"}, "credentials-file": {"/x"}}, "--credentials-file has no use for the keys of --deliver sign: they work in this command alone"},
		{"a host with a scheme", values{"deliver": {"sign"}, "sign-host": {"https://a.example"}}, `--sign-host "https://a.example": not HOST or HOST:PORT`},
		{"a host with a star", values{"deliver": {"sign"}, "sign-host": {"*.a.example"}}, `--sign-host "*.a.example": not HOST or HOST:PORT`},
		{"a host with a dot in front", values{"deliver": {"sign"}, "sign-host": {".a.example"}}, `--sign-host ".a.example": not HOST or HOST:PORT`},
		{"a host with a path", values{"deliver": {"sign"}, "sign-host": {"a.example/x"}}, `--sign-host "a.example/x": not HOST or HOST:PORT`},
		{"a host with half a port", values{"deliver": {"sign"}, "sign-host": {"a.example:"}}, `--sign-host "a.example:": not HOST or HOST:PORT`},
		{"a host with too much of a port", values{"deliver": {"sign"}, "sign-host": {"a.example:65536"}}, `--sign-host "a.example:65536": not HOST or HOST:PORT`},
		{"half an address", values{"deliver": {"sign"}, "sign-host": {"10.0.1"}}, `--sign-host "10.0.1": not HOST or HOST:PORT`},
		{"rewriting", values{"rewrite-signal": {"TERM"}}, `--rewrite-signal "TERM": not SIGNAL:SIGNAL`},
		{"rewriting to nonsense", values{"rewrite-signal": {"TERM:FOO"}}, `--rewrite-signal "TERM:FOO": not SIGNAL:SIGNAL`},
		{"restart policy", values{"restart": {"sometimes"}}, `--restart "sometimes": no such policy`},
		{"restart limit", values{"restart": {"always"}, "restart-max": {"0"}}, `--restart-max "0": not a number of restarts`},
		{"restart limit alone", values{"restart-max": {"2"}}, "--restart-max needs --restart"},
		{"mode alone", values{"file-mode": {"0600"}}, "--file-mode needs --credentials-file"},
		{"mode", values{"credentials-file": {"/x"}, "file-mode": {"0400"}}, `--file-mode "0400": not the mode of such a file`},
		{"mode in decimal", values{"credentials-file": {"/x"}, "file-mode": {"689"}}, `--file-mode "689": not the mode of such a file`},
		{"owner", values{"credentials-file": {"/x"}, "file-owner": {"root"}}, `--file-owner "root": not UID[:GID]`},
		{"end", values{"credentials-file": {"/x"}, "credentials-file-at-exit": {"burn"}}, `--credentials-file-at-exit "burn": no such choice`},
		{"delivery", values{"deliver": {"pigeon"}}, `--deliver "pigeon": no such delivery`},
		{"section of no file", values{"credentials-file-profile": {"app"}}, "--credentials-file-profile needs --credentials-file"},
		{"end of no file", values{"credentials-file-at-exit": {"leave"}}, "--credentials-file-at-exit needs --credentials-file"},
		{"two ARNs in one", values{"role-arn": {app + "," + app}}, `--role-arn "` + app + "," + app + `": two ARNs in one`},
		{"ARN with a line end", values{"role-arn": {app + "\n"}}, `--role-arn "` + app + `\n": not an ARN`},
		{"ARN with what should have been a line end", values{"role-arn": {app + `\n`}}, `--role-arn "` + app + `\\n": not the ARN of a role`},
		{"ARN of a short account", values{"role-arn": {"arn:aws:iam::12345:role/App"}}, `--role-arn "arn:aws:iam::12345:role/App": an account of AWS is a number of 12 digits`},
		{"ARN of a user", values{"role-arn": {"arn:aws:iam::123456789012:user/me"}}, `--role-arn "arn:aws:iam::123456789012:user/me": a user, not a role`},
		{"ARN of a session", values{"role-arn": {"arn:aws:sts::123456789012:assumed-role/App/me"}}, `--role-arn "arn:aws:sts::123456789012:assumed-role/App/me": a session of a role, not the role`},
		{"ARN of a role without a name", values{"role-arn": {"arn:aws:iam::123456789012:role/"}}, `--role-arn "arn:aws:iam::123456789012:role/": not the ARN of a role`},
		{"ARN of another service", values{"role-arn": {"arn:aws:s3::123456789012:role/App"}}, `--role-arn "arn:aws:s3::123456789012:role/App": not the ARN of a role`},
		{"a session too short for AWS", values{"role-arn": {app}, "duration": {"5m"}}, `--duration "5m": not a valid session duration`},
		{"a session too long for AWS", values{"role-arn": {app}, "duration": {"13h"}}, `--duration "13h": not a valid session duration`},
		{"a session too long for a request", values{"role-arn": {app}, "duration": {"600000h"}}, `--duration "600000h": not a valid session duration`},
		{"more life than a session", values{"role-arn": {app}, "duration": {"1h"}, "min-ttl": {"1h"}}, "--min-ttl 1h: not shorter than a session of --duration 1h"},
		{"more life than the session of a role", values{"role-arn": {app}, "min-ttl": {"2h"}}, "--min-ttl 2h: not shorter than a session without --duration, 1h"},
		{"more life than a chained session", values{"role-arn": {app, app}, "min-ttl": {"2h"}}, "--min-ttl 2h: not shorter than a session of a chain of roles, at most 1h"},
		{"refreshed before it begins", values{"role-arn": {app}, "duration": {"1h"}, "refresh-before": {"2h"}}, "--refresh-before 2h: not shorter than a session of --duration 1h"},
		{"profile name", values{"as-profile": {"a]"}}, `--as-profile "a]": not a profile name`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := New(test.in.settings(t), nil)
			var wrong *Error
			if !errors.As(err, &wrong) {
				t.Fatalf("New(%v) = %v, want a *plan.Error", test.in, err)
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("New(%v) (-want +got):\n%s", test.in, diff)
			}
		})
	}
}

// TestSignLimits: what services refuses is about the flag.
func TestSignLimits(t *testing.T) {
	t.Parallel()
	_, err := New(values{"deliver": {"sign"}, "sign-only": {"s3!"}}.settings(t), nil)
	var wrong *Error
	if !errors.As(err, &wrong) || !strings.HasPrefix(wrong.Text, "--sign-only ") || wrong.Hint == "" {
		t.Errorf("error %v, want one of --sign-only with a hint", err)
	}
}

// TestOtherServers: what AWS refuses may be right where STS is another's.
func TestOtherServers(t *testing.T) {
	long := values{"role-arn": {"arn:aws:iam::123456789012:role/App"}, "duration": {"5s"}}
	tenant := values{"role-arn": {"arn:aws:iam::12345:role/App"}, "duration": {"8760h"}, "min-ttl": {"24h"}}
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("[default]\nservices = mine\n[services mine]\nsts =\n  endpoint_url = https://sts.example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": "https://example.com", "AWS_ENDPOINT_URL_STS": "https://example.com", "AWS_CONFIG_FILE": config} {
		t.Run(name, func(t *testing.T) {
			for _, v := range []values{long, tenant} {
				if _, err := New(v.settings(t), nil); err == nil {
					t.Errorf("New(%v) succeeds although STS is AWS's", v)
				}
			}
			t.Setenv(name, value)
			for _, v := range []values{long, tenant} {
				if _, err := New(v.settings(t), nil); err != nil {
					t.Errorf("New(%v) = %v", v, err)
				}
			}
			if _, err := New(values{"role-arn": {"arn:aws:iam:::role/a"}, "duration": {"600000h"}}.settings(t), nil); err == nil {
				t.Error("a duration that no request can say is accepted")
			}
		})
	}
	for _, arn := range []string{"arn:aws:iam:::role/x", "arn:minio:iam:::role/idmp-x", "arn:aws-cn:iam::123456789012:role/path/to/App_+=,.@-"} {
		if _, err := New(values{"role-arn": {arn}}.settings(t), nil); err != nil {
			t.Errorf("New with the role %s = %v", arn, err)
		}
	}
}

func TestMain(m *testing.M) {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"} {
		os.Unsetenv(name)
	}
	os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	m.Run()
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		want       []fileEntry
		err        string
	}{
		{"empty", "", nil, ""},
		{"comments only", "# nothing\n", nil, ""},
		{
			"kinds", "# a job\nprofile: prod\nquiet: true\nrole-arn:\n  - arn:a\n  - arn:b\nduration: 1h\ntag: [a=1, b=2]\n",
			[]fileEntry{
				{key: "profile", values: []string{"prod"}, where: "F:2"}, {key: "quiet", values: []string{"true"}, where: "F:3"},
				{key: "role-arn", values: []string{"arn:a", "arn:b"}, list: true, where: "F:4"}, {key: "duration", values: []string{"1h"}, where: "F:7"},
				{key: "tag", values: []string{"a=1", "b=2"}, list: true, where: "F:8"},
			}, "",
		},
		{"block text", "policy: |\n  {\"a\": 1}\n", []fileEntry{{key: "policy", values: []string{"{\"a\": 1}\n"}, where: "F:1"}}, ""},
		{"twice", "region: a\nregion: b\n", nil, `F:2: mapping key "region" already defined at [1:1]`},
		{"a list at the top", "- region\n", nil, "F:1: not a mapping of settings"},
		{"a nested mapping", "profile:\n  name: x\n", nil, "F:2: profile: not a text, a number, true or false, or a list of these"},
		{"nothing set", "profile:\n", nil, "F:1: profile: not a text, a number, true or false, or a list of these"},
		{"syntax", "profile: [a\n", nil, "F:1: sequence end token ']' not found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "F")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := readFile(path)
			if msg := without(err, filepath.Dir(path)+"/"); msg != test.err {
				t.Errorf("readFile error = %q, want %q", msg, test.err)
			}
			for i := range got {
				got[i].where = filepath.Base(got[i].where)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(fileEntry{})); diff != "" {
				t.Errorf("readFile (-want +got):\n%s", diff)
			}
		})
	}
}

func without(err error, dir string) string {
	if err == nil {
		return ""
	}
	return string([]byte(err.Error())[len(dir):])
}

func FuzzReadFile(f *testing.F) {
	for _, seed := range []string{"", "a: b\n", "a: [1, 2]\n", "- a\n", "a: &x b\nc: *x\n", "a: |\n  b\n", "a: {b: c}\n", "source: [{}, {a: b}]\n", "source:\n- a: [b]\n  c: d\n", "\x00", "? a\n: b\n", "a: !!str 1\n"} {
		f.Add(seed)
	}
	path := filepath.Join(f.TempDir(), "config.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		entries, err := readFile(path)
		var wrong *Error
		if err != nil && !errors.As(err, &wrong) {
			t.Errorf("readFile(%q): %v is no *plan.Error", text, err)
		}
		if err != nil && entries != nil {
			t.Errorf("readFile(%q) gave both entries and an error", text)
		}
	})
}

func FuzzSplitWords(f *testing.F) {
	for _, seed := range []string{"a b", `a "b c"`, `a 'b`, `a\ b`, "a|b", "$(x)", "`x`", "a>b", "\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words, err := splitWords(s)
		if (err == nil) != (len(words) > 0) {
			t.Errorf("splitWords(%q) = %q, %v", s, words, err)
		}
	})
}

// TestListOfSources: each has settings of its own, also of roles, and some from outside.
func TestListOfSources(t *testing.T) {
	t.Parallel()
	const a, b = "arn:aws:iam::123456789012:role/A", "arn:aws:iam::123456789012:role/B"
	const iot = "  - iot-endpoint: h\n    iot-role-alias: r\n    certificate: c\n    private-key: k\n"
	for _, test := range []struct {
		name, text string
		typed      map[string][]string
		want       source.Spec
		err        string
	}{
		{"roles of their own", "region: r\nrole-session-name: n\nsource:\n" + iot + "    role-arn: " + a + "\n    duration: 1h\n  - profile: p\n    region: q\n    role-arn: [" + a + ", " + b + "]\n  - {}\n", nil, source.Spec{
			Region: "r", IoT: &source.IoT{Pair: keyfile.Pair{Certificate: "c", PrivateKey: "k"}, Endpoint: "h", RoleAlias: "r"},
			Roles: []source.Role{{ARN: a, SessionName: "n", Duration: time.Hour}},
			Else: []source.Spec{
				{Region: "q", Profile: "p", SessionName: "n", Roles: []source.Role{{ARN: a, SessionName: "n"}, {ARN: b, SessionName: "n"}}},
				{Region: "r", SessionName: "n"},
			},
		}, ""},
		{"without a role", "role-session-name: n\nsource:\n" + iot, nil, source.Spec{
			IoT: &source.IoT{Pair: keyfile.Pair{Certificate: "c", PrivateKey: "k"}, Endpoint: "h", RoleAlias: "r"},
		}, ""},
		{"typed instead", "source: [{profile: p}]\n", map[string][]string{"source": {"chain"}}, source.Spec{}, ""},
		{"of two kinds", "source:\n  - profile: p\n    from-file: f\n", nil, source.Spec{}, "--profile and --from-file are two sources; name one (--from-file is from F:3) (--profile is from F:2)"},
		{"a setting of none", "source:\n  - deliver: env\n", nil, source.Spec{}, `F:2: no setting of a source is named "deliver"`},
		{"a list in a list", "source:\n  - source: chain\n", nil, source.Spec{}, `F:2: no setting of a source is named "source"`},
		{"two values for one", "source:\n  - profile: [a, b]\n", nil, source.Spec{}, "F:2: profile takes one value, not 2"},
		{"twice", "source:\n  - profile: a\n    profile: b\n", nil, source.Spec{}, `F:3: mapping key "profile" already defined at [2:5]`},
		{"order and list", "source: [chain, {profile: p}]\n", nil, source.Spec{}, "F:1: source is an order or a list of mappings, not both"},
		{"a mapping of no list", "source:\n  profile: p\n", nil, source.Spec{}, "F:2: source: not a text, a number, true or false, or a list of these"},
		{"a list of something else", "region:\n  - profile: p\n", nil, source.Spec{}, "F:2: region: not a text, a number, true or false, or a list of these"},
		{"a role outside", "source: [{profile: p}]\n", map[string][]string{"role-arn": {a}}, source.Spec{}, "--role-arn is of one source, and there is a list of them"},
		{"a life that one cannot have", "min-ttl: 2h\nsource:\n  - profile: p\n  - role-arn: " + a + "\n    duration: 1h\n", nil, source.Spec{}, "--min-ttl 2h: not shorter than a session of --duration 1h (--duration is from F:5) (--min-ttl is from F:1)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "F")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, text := &Plan{Profiles: []Profile{{}}}, ""
			s, err := Resolve(Flags(""), test.typed, []string{"BRS_EXEC_CONFIG=" + path})
			if err == nil {
				got, err = New(s, nil)
			}
			if err != nil {
				got, text = &Plan{Profiles: []Profile{{}}}, strings.ReplaceAll(err.Error(), path, "F")
			}
			if text != test.err {
				t.Errorf("error %q, want %q", text, test.err)
			}
			if diff := cmp.Diff(test.want, got.Profiles[0].Source, cmpopts.IgnoreUnexported(source.Spec{})); diff != "" {
				t.Errorf("source (-want +got):\n%s", diff)
			}
		})
	}
}

// TestChoices: what a choice offers is what its check accepts, and nothing else is.
func TestChoices(t *testing.T) {
	for _, of := range []string{"", "keep", "credentials"} {
		for _, f := range Flags(of) {
			if len(f.Values) == 0 {
				continue
			}
			check := func(v string) error {
				typed := map[string][]string{f.Name: {v}, "role-arn": {"arn:aws:iam::123456789012:role/App"}}
				switch {
				case f.Name == "credentials-file-at-exit":
					typed["credentials-file"] = []string{"/tmp/x"}
				case v == "env":
					typed["on-refresh"] = []string{"restart"}
				case f.Name == "sign-via":
					typed["deliver"] = []string{"sign"}
				}
				if of == "keep" {
					typed["run-dir"] = []string{"/v"}
					if strings.HasPrefix(v, "signal:") {
						typed["pid-file"] = []string{"/p"}
					}
				}
				s, err := Resolve(Flags(of), typed, nil)
				if err != nil {
					return err
				}
				if _, err := s.Output(); err != nil {
					return err
				}
				if of == "credentials" {
					_, _, err := s.Credentials()
					return err
				}
				_, err = New(s, []string{"job"})
				return err
			}
			for _, v := range f.Values {
				v = strings.NewReplacer("SIG", "HUP", "COMMAND", "true", "NUMBER", "1").Replace(v)
				if err := check(v); err != nil {
					t.Errorf("%s --%s %s: %v", of, f.Name, v, err)
				}
			}
			if check("nonsense") == nil {
				t.Errorf("%s --%s nonsense is accepted", of, f.Name)
			}
		}
	}
}
