//go:build unix

package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// whoAmI makes one call as the command and tells the ARN that answered.
const whoAmI = `aws sts get-caller-identity --query Arn --output text`

// TestSources gets credentials from every kind of source there is and lets the
// AWS CLI say whose they are.
func TestSources(t *testing.T) {
	t.Parallel()
	program(t, "aws")
	noKeys := func(w *world) { w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") }
	profile := func(w *world, name string, lines ...string) {
		keys := w.server.Bootstrap()
		w.write("credentials", fmt.Sprintf("[base]\naws_access_key_id = %s\naws_secret_access_key = %s\n", keys.AccessKeyID, keys.SecretAccessKey))
		w.write("config", fmt.Sprintf("[profile base]\nregion = us-east-1\n[profile %s]\n%s\n", name, strings.Join(lines, "\n")))
	}
	command := func(w *world, format string) []string {
		set := w.server.Issue("arn:aws:sts::123456789012:assumed-role/App/handed", time.Hour)
		return []string{"--credential-command", w.script("command",
			"cat <<'EOF'\n"+fmt.Sprintf(format, set.AccessKeyID, set.SecretAccessKey, set.SessionToken, set.Expires.UTC().Format(time.RFC3339))+"\nEOF")}
	}
	const user, handed = `:user/ops$`, `assumed-role/App/handed$`
	tests := []struct {
		name  string
		flags func(w *world) []string
		arn   string // a regular expression
	}{
		{"environment", func(w *world) []string { return nil }, user},
		{"profile with keys", func(w *world) []string {
			noKeys(w)
			profile(w, "prod", "region = eu-west-1")
			return []string{"--profile", "base"}
		}, user},
		{"profile with a role", func(w *world) []string {
			noKeys(w)
			profile(w, "prod", "role_arn = "+roleARN, "source_profile = base", "role_session_name = nightly")
			return []string{"--profile", "prod"}
		}, `assumed-role/App/nightly$`},
		{"profile of AWS_PROFILE", func(w *world) []string {
			noKeys(w)
			profile(w, "prod", "role_arn = "+roleARN, "source_profile = base", "role_session_name = nightly")
			w.env["AWS_PROFILE"] = "prod"
			return nil
		}, `assumed-role/App/nightly$`},
		{"profile with a process", func(w *world) []string {
			noKeys(w)
			profile(w, "prod", "credential_process = "+command(w, processJSON)[1])
			return []string{"--profile", "prod"}
		}, handed},
		{"web identity", func(w *world) []string {
			noKeys(w)
			w.env["AWS_WEB_IDENTITY_TOKEN_FILE"] = w.write("token", w.server.IssueWebIdentity(time.Hour))
			w.env["AWS_ROLE_ARN"] = "arn:aws:iam::123456789012:role/Pod"
			w.env["AWS_ROLE_SESSION_NAME"] = "pod"
			return nil
		}, `assumed-role/Pod/pod$`},
		{"role on top of a profile", func(w *world) []string {
			noKeys(w)
			profile(w, "prod", "region = eu-west-1")
			return []string{"--profile", "base", "--role-arn", roleARN, "--role-session-name", "over-{profile}"}
		}, `assumed-role/App/over-base$`},
		{"chain of roles", func(w *world) []string {
			var flags []string
			for _, name := range []string{"First", "Second", "Third", "Fourth", "Fifth"} {
				flags = append(flags, "--role-arn", "arn:aws:iam::210987654321:role/"+name)
			}
			return flags
		}, `assumed-role/Fifth/`},
		{"credential_source of the environment", func(w *world) []string {
			w.write("config", "[profile p]\nrole_arn = "+roleARN+"\ncredential_source = Environment\nrole_session_name = by-env\n")
			return []string{"--profile", "p"}
		}, `assumed-role/App/by-env$`},
		{"web identity of a flag", func(w *world) []string {
			noKeys(w)
			return []string{"--web-identity-token-file", w.write("token", w.server.IssueWebIdentity(time.Hour)), "--role-arn", roleARN, "--role-session-name", "pod"}
		}, `assumed-role/App/pod$`},
		{"GitHub Actions", func(w *world) []string {
			noKeys(w)
			runner := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer job" || r.URL.Query().Get("audience") != "me" || r.URL.Query().Get("api-version") != "2.0" {
					w.t.Errorf("asked for %s as %q", r.URL, r.Header.Get("Authorization"))
				}
				fmt.Fprintf(rw, `{"count":1,"value":%q}`, w.server.IssueWebIdentity(time.Minute))
			}))
			w.t.Cleanup(runner.Close)
			w.env["ACTIONS_ID_TOKEN_REQUEST_URL"], w.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = runner.URL+"/idtoken?api-version=2.0", "job"
			return []string{"--github-oidc", "--audience", "me", "--role-arn", roleARN, "--role-arn", "arn:aws:iam::123456789012:role/Next", "--role-session-name", "ci"}
		}, `assumed-role/Next/ci$`},
		{"command printing Vault's answer", func(w *world) []string {
			set := w.server.Issue("arn:aws:sts::123456789012:assumed-role/App/handed", time.Hour)
			return []string{"--credential-command", w.script("vault", fmt.Sprintf(
				`echo '{"request_id":"1","lease_id":"aws/sts/job/x","renewable":false,"lease_duration":3599,"data":{"access_key":"%s","secret_key":"%s","session_token":"%s"}}'`,
				set.AccessKeyID, set.SecretAccessKey, set.SessionToken))}
		}, handed},
		{"command printing JSON", func(w *world) []string { return command(w, processJSON) }, handed},
		{"command printing an STS answer", func(w *world) []string {
			return command(w, `{"Credentials":{"AccessKeyId":"%s","SecretAccessKey":"%s","SessionToken":"%s","Expiration":"%s"}}`)
		}, handed},
		{"command printing variables", func(w *world) []string {
			return command(w, "export AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY='%s'\nAWS_SESSION_TOKEN=\"%s\"\nAWS_CREDENTIAL_EXPIRATION=%s")
		}, handed},
		{"role on top of a command", func(w *world) []string {
			return append(command(w, processJSON), "--role-arn", roleARN, "--role-session-name", "top")
		}, `assumed-role/App/top$`},
		{"STS of a variable of its own", func(w *world) []string {
			w.env["AWS_ENDPOINT_URL_STS"], w.env["AWS_ENDPOINT_URL"] = w.server.URL(), "http://127.0.0.1:1"
			return []string{"--role-arn", roleARN}
		}, `assumed-role/App/`},
		{"STS of the profile's endpoint_url", func(w *world) []string {
			noKeys(w)
			w.unset("AWS_ENDPOINT_URL")
			profile(w, "prod", "role_arn = "+roleARN, "source_profile = base", "endpoint_url = "+w.server.URL(), "role_session_name = nightly")
			return []string{"--profile", "prod"}
		}, `assumed-role/App/nightly$`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			p := w.brsExec(append(tt.flags(w), "--", "bash", "-c", whoAmI)...)
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0\n%s", code, p.stderr.String())
			}
			if got := strings.TrimSpace(p.stdout.String()); !regexp.MustCompile(tt.arn).MatchString(got) {
				t.Errorf("the command is %q, want a match of %q", got, tt.arn)
			}
			for _, c := range w.server.Calls() {
				if !c.Accepted {
					t.Errorf("refused: %v", c)
				}
			}
		})
	}
}

const processJSON = `{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s","SessionToken":"%s","Expiration":"%s"}`

// TestRoleOptions: what was asked for is what STS was asked for.
func TestRoleOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	policy := w.write("policy.json", `{
  "Version": "2012-10-17",
  "Statement": []
}
`)
	p := w.brsExec("--role-arn", "arn:aws:iam::123456789012:role/First", "--role-arn", roleARN,
		"--role-session-name", "job-{pid}-{command}-{user}@{host}", "--external-id", "ex/1:2", "--duration", "45m", "--policy", "@"+policy,
		"--policy-arn", "arn:aws:iam::aws:policy/ReadOnlyAccess", "--policy-arn", "arn:aws:iam::aws:policy/job-function/Billing",
		"--tag", "team=data & co", "--tag", "empty=", "--transitive-tag", "team", "--source-identity", "jane",
		"--provided-context", "arn:aws:iam::aws:contextProvider/IdentityCenter="+w.write("assertion", "eyJ.asserted+by/idc\n"),
		"--", "true")
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	calls := w.server.Calls()
	if len(calls) != 2 {
		t.Fatalf("%d calls, want one for each role: %v", len(calls), calls)
	}
	first, last := calls[0].Params, calls[1].Params
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`[^\w+=,.@-]`).ReplaceAllString(fmt.Sprintf("job-%d-true-%s@%s", p.cmd.Process.Pid, who.Username, host), "-")
	// A source identity and transitive tags are set by the first role of a chain,
	// which later roles inherit and could not change; the rest is the last one's.
	check(t, "first", first, map[string]string{
		"RoleArn":                    "arn:aws:iam::123456789012:role/First",
		"Tags.member.1.Key":          "team",
		"Tags.member.1.Value":        "data & co",
		"TransitiveTagKeys.member.1": "team",
		"SourceIdentity":             "jane",
	})
	check(t, "last", last, map[string]string{
		"RoleArn":                 roleARN,
		"RoleSessionName":         name[:min(len(name), 64)],
		"ExternalId":              "ex/1:2",
		"DurationSeconds":         "2700",
		"PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/ReadOnlyAccess",
		"PolicyArns.member.2.arn": "arn:aws:iam::aws:policy/job-function/Billing",
		"Tags.member.1.Key":       "empty",
		"Tags.member.1.Value":     "",

		"ProvidedContexts.member.1.ProviderArn":      "arn:aws:iam::aws:contextProvider/IdentityCenter",
		"ProvidedContexts.member.1.ContextAssertion": "eyJ.asserted+by/idc",
	})
	// Some servers don't decode a form's '+' to a blank, so there must be none.
	if got := last["Policy"]; len(got) != 1 || strings.ContainsAny(got[0], " \n") {
		t.Errorf("Policy = %q, want it without blanks", got)
	}
	if calls[1].KeyID == w.server.Bootstrap().AccessKeyID {
		t.Error("the second role was assumed without the first")
	}
}

// check compares what one AssumeRole call asked for.
func check(t *testing.T, which string, params map[string][]string, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got, ok := params[name]; !ok || got[0] != value {
			t.Errorf("the %s role's %s = %q, want %q", which, name, got, value)
		}
	}
}

// TestProfileNames: code that names the profile it used before finds it, and so
// does code that names those of --as-profile.
func TestProfileNames(t *testing.T) {
	t.Parallel()
	python := program(t, "python")
	w := newWorld(t, time.Hour)
	keys := w.server.Bootstrap()
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
	w.write("credentials", fmt.Sprintf("[base]\naws_access_key_id = %s\naws_secret_access_key = %s\n", keys.AccessKeyID, keys.SecretAccessKey))
	w.write("config", "[profile base]\nregion = us-east-1\n[profile prod]\nrole_arn = "+roleARN+"\nsource_profile = base\nregion = eu-west-3\nretry_mode = adaptive\n[profile other]\noutput = yaml\n")
	p := w.brsExec("--profile", "prod", "--as-profile", "legacy", "--", python, "-c", `
import boto3
for name in ("prod", "legacy", "default", None):
    session = boto3.Session(profile_name=name)
    arn = session.client("sts").get_caller_identity()["Arn"]
    print(name, session.region_name, arn.split("/")[1])
print(sorted(boto3.Session().available_profiles))
print(boto3.Session(profile_name="prod").client("sts").meta.config.retries["mode"])
`)
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	want := "prod eu-west-3 App\nlegacy eu-west-3 App\ndefault eu-west-3 App\nNone eu-west-3 App\n"
	got := p.stdout.String()
	if !strings.HasPrefix(got, want) {
		t.Errorf("the command printed\n%swant at first\n%s", got, want)
	}
	if !strings.Contains(got, "other") {
		t.Errorf("the user's other profiles do not reach the command:\n%s", got)
	}
	if !strings.HasSuffix(got, "adaptive\n") {
		t.Errorf("the profile's own settings do not reach the command:\n%s", got)
	}
}

// TestFileDelivery is for programs that read the file themselves and know no
// profile but [default].
func TestFileDelivery(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 8*time.Second)
	p := w.brsExec("--role-arn", roleARN, "--deliver", "file", "--", "sh", "-c",
		`echo "profile=$AWS_PROFILE"; echo "$AWS_SHARED_CREDENTIALS_FILE"; read -r _; exit 0`)
	eventually(t, patience, "the command's lines", func() bool { return len(p.stdout.lines()) == 2 })
	lines := p.stdout.lines()
	if lines[0] != "profile=" {
		t.Errorf("%s, want no profile", lines[0])
	}
	seen := map[string]bool{}
	key := regexp.MustCompile(`(?s)\[default\]\s+aws_access_key_id *= *(\w+)`)
	eventually(t, patience, "three sets of credentials in [default]", func() bool {
		b, err := os.ReadFile(lines[1])
		if err != nil {
			t.Fatal(err)
		}
		m := key.FindSubmatch(b)
		if m == nil {
			t.Fatalf("no keys in [default] of:\n%s", strings.ReplaceAll(string(b), "=", "= …"))
		}
		seen[string(m[1])] = true
		return len(seen) >= 3
	})
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// TestCredentialsFormats: each form is taken by what it is for.
func TestCredentialsFormats(t *testing.T) {
	t.Parallel()
	program(t, "aws")
	set := func(t *testing.T) *world {
		w := newWorld(t, time.Hour)
		w.reveals = true
		return w
	}
	formats := map[string]func(w *world) *process{
		"process": func(w *world) *process {
			w.write("config", "[profile p]\nregion = us-east-1\ncredential_process = "+brsExec(w.t)+" credentials --credential-command "+w.source()+"\n")
			w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
			w.env["AWS_PROFILE"] = "p"
			return w.start("bash", "-c", whoAmI)
		},
		"env": func(w *world) *process {
			return w.start("bash", "-c", `out=$("$0" credentials --format env --credential-command "$1") && eval "$out" && `+whoAmI, brsExec(w.t), w.source())
		},
		"ini": func(w *world) *process {
			w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
			return w.start("bash", "-c", `"$0" credentials --format ini --credential-command "$1" >"$AWS_SHARED_CREDENTIALS_FILE" &&
				export AWS_PROFILE=$(sed -n 's/^\[\(.*\)\]$/\1/p' "$AWS_SHARED_CREDENTIALS_FILE") && `+whoAmI, brsExec(w.t), w.source())
		},
	}
	for name, run := range formats {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := set(t)
			p := run(w)
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0\n%s", code, p.stderr.String())
			}
			if got := strings.TrimSpace(p.stdout.String()); !strings.HasSuffix(got, "assumed-role/App/handed") {
				t.Errorf("the caller is %q", got)
			}
		})
	}
}

// source is a --credential-command that prints one good set.
func (w *world) source() string {
	set := w.server.Issue("arn:aws:sts::123456789012:assumed-role/App/handed", time.Hour)
	return w.script("source", "cat <<'EOF'\n"+
		fmt.Sprintf(processJSON, set.AccessKeyID, set.SecretAccessKey, set.SessionToken, set.Expires.UTC().Format(time.RFC3339))+"\nEOF")
}

// TestPrecedence: flag before variable before file before default.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	name := func(n string) string { return "--role-session-name=" + n }
	tests := []struct {
		name           string
		flag, env, yml string
		want           string
	}{
		{"flag", "by-flag", "by-env", "by-file", "by-flag"},
		{"variable", "", "by-env", "by-file", "by-env"},
		{"file", "", "", "by-file", "by-file"},
		{"default", "", "", "", "brs-exec-true-"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			yml := "role-arn:\n  - " + roleARN + "\n"
			if tt.yml != "" {
				yml += "role-session-name: " + tt.yml + "\n"
			}
			args := []string{"--config", w.write("settings.yaml", yml)}
			if tt.env != "" {
				w.env["BRS_EXEC_ROLE_SESSION_NAME"] = tt.env
			}
			if tt.flag != "" {
				args = append(args, name(tt.flag))
			}
			p := w.brsExec(append(args, "--", "true")...)
			if code := p.exit(); code != 0 {
				t.Fatalf("exit code %d\n%s", code, p.stderr.String())
			}
			calls := w.server.Calls()
			if len(calls) != 1 || !strings.HasPrefix(calls[0].Params["RoleSessionName"][0], tt.want) {
				t.Errorf("calls %v with %v, want one with session name %s…", calls, calls[0].Params, tt.want)
			}
		})
	}
}

// TestWords: what is asked for goes to standard output, with exit code 0.
func TestWords(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"version":            `^brs-exec \S+`,
		"help":               `brs-exec \[FLAGS\] -- COMMAND`,
		"--help":             `brs-exec \[FLAGS\] -- COMMAND`,
		"-h":                 `brs-exec \[FLAGS\] -- COMMAND`,
		"credentials --help": `--format`,
		"help credentials":   `--format`,
		"completion bash":    `complete .*brs-exec`,
		"completion zsh":     `compdef`,
		"completion fish":    `complete -c brs-exec`,
	}
	for args, want := range tests {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			p := w.brsExec(strings.Fields(args)...)
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if !regexp.MustCompile(want).MatchString(p.stdout.String()) {
				t.Errorf("standard output %q, want a match of %q", p.stdout.String(), want)
			}
			if got := p.stderr.String(); got != "" {
				t.Errorf("standard error %q, want none", got)
			}
			if calls := w.server.Calls(); len(calls) > 0 {
				t.Errorf("the network was used: %v", calls)
			}
		})
	}
}

// TestCompletionParses: the shells take the scripts.
func TestCompletionParses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	p := w.start("bash", "-c", `"$0" completion bash >script && bash -n script && . ./script`, brsExec(t))
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// TestRunDirectory is asked while the command runs: the credentials subcommand
// answers from the run directory, fast and without a source.
func TestRunDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.reveals = true
	p := w.brsExec("--role-arn", roleARN, "--", "sh", "-c", `echo "$AWS_CONFIG_FILE"; read -r _`)
	eventually(t, patience, "the command's line", func() bool { return len(p.stdout.lines()) == 1 })
	dir := filepath.Dir(p.stdout.lines()[0])
	before := len(w.server.Calls())
	q := w.brsExec("credentials", "--run-dir", dir)
	if code := q.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if got := q.stderr.String(); got != "" {
		t.Errorf("standard error %q, want none", got)
	}
	end := regexp.MustCompile(`^\{"Version":1,"AccessKeyId":"ASIA\w+","SecretAccessKey":"[^"]+","SessionToken":"[^"]+","Expiration":"([0-9TZ:-]+)"\}\n$`).
		FindStringSubmatch(q.stdout.String())
	if end == nil {
		t.Fatalf("the output is not one compact line of the expected form (%d bytes)", len(q.stdout.String()))
	}
	told, err := time.Parse(time.RFC3339, end[1])
	if err != nil {
		t.Fatal(err)
	}
	// Two minutes early: a tenth of the hour would be more.
	if left := time.Until(told); left > 58*time.Minute || left < 57*time.Minute {
		t.Errorf("the expiry told is %v away, want two minutes less than the hour", left)
	}
	if after := len(w.server.Calls()); after != before {
		t.Errorf("%d calls were made for it, want none", after-before)
	}
	p.stdin.Close()
	p.exit()
	r := w.brsExec("credentials", "--run-dir", dir)
	if code := r.exit(); code != 125 && code != 1 {
		t.Errorf("exit code %d after the end, want a failure", code)
	}
	if out := r.stdout.String(); out != "" {
		t.Errorf("standard output %q after the end, want none", out)
	}
}
