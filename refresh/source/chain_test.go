package source

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
)

// The order of the AWS CLI, where the SDK for Go has another. The comparison with the
// AWS CLI itself is integration/chain_test.go.
func TestOrder(t *testing.T) {
	t.Parallel()
	keys := func(id string) string { return "aws_access_key_id = " + id + "\naws_secret_access_key = s\n" }
	process := `credential_process = printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"s"}' `
	const envKeys = "AWS_ACCESS_KEY_ID=AKIAENV|AWS_SECRET_ACCESS_KEY=s"
	const sso = "sso_session = corp\nsso_account_id = 1\nsso_role_name = dev\n"
	const corp = "[sso-session corp]\nsso_start_url = https://example.awsapps.com/start\nsso_region = r-1\n"
	const login = "login_session = arn:aws:iam::123456789012:user/ann\n"
	role := func(arn, source string) string { return "role_arn = " + arn + "\nsource_profile = " + source + "\n" }
	tests := []struct {
		name, config, credentials, env, profile string

		want      string // way, or key id
		notes     []string
		overlooks []string
	}{
		{name: "SSO before keys in the credentials file", config: "[profile p]\n" + sso + corp, credentials: "[p]\n" + keys("AKIAOLD"), profile: "p",
			want: `profile "p" by SSO p`, overlooks: []string{`profile "p" has sso_account_id as well as aws_access_key_id in CREDENTIALS: the former is used, as by the AWS CLI`}},
		{name: "SSO before process", config: "[profile p]\n" + sso + process + "AKIAPROC\n" + corp, profile: "p", want: `profile "p" by SSO p`,
			overlooks: []string{`profile "p" has sso_account_id as well as credential_process: the former is used, as by the AWS CLI`}},
		{name: "login before keys in the config file", config: "[profile p]\n" + login + keys("AKIAOLD"), profile: "p", want: `profile "p" by login`,
			overlooks: []string{`profile "p" has login_session as well as aws_access_key_id in CONFIG: the former is used, as by the AWS CLI`}},
		{name: "keys in the credentials file before login", config: "[profile p]\n" + login, credentials: "[p]\n" + keys("AKIAP"), profile: "p", want: "AKIAP",
			overlooks: []string{`profile "p" has aws_access_key_id in CREDENTIALS as well as login_session: the former is used, as by the AWS CLI`}},
		{name: "process before keys in the config file", config: "[profile p]\n" + process + "AKIAPROC\n" + keys("AKIAOLD"), profile: "p", want: "AKIAPROC",
			overlooks: []string{`profile "p" has credential_process as well as aws_access_key_id in CONFIG: the former is used, as by the AWS CLI`}},
		{name: "keys in the credentials file before process", config: "[profile p]\n" + process + "AKIAPROC\n", credentials: "[p]\n" + keys("AKIAP"), profile: "p", want: "AKIAP",
			overlooks: []string{`profile "p" has aws_access_key_id in CREDENTIALS as well as credential_process: the former is used, as by the AWS CLI`}},
		{name: "AWS_PROFILE with a role before web identity variables", config: "[profile p]\n" + role(roleA, "q"), credentials: "[q]\n" + keys("AKIAQ"),
			env: "AWS_PROFILE=p|AWS_WEB_IDENTITY_TOKEN_FILE=/t|AWS_ROLE_ARN=" + roleB, want: "AKIAQ > " + roleA},
		{name: "web identity variables before AWS_PROFILE with keys", credentials: "[p]\n" + keys("AKIAP"),
			env: "AWS_PROFILE=p|AWS_WEB_IDENTITY_TOKEN_FILE=/t|AWS_ROLE_ARN=" + roleB, want: "web identity token → " + roleB,
			notes: []string{"AWS_PROFILE=p does not say whose credentials are used: AWS_WEB_IDENTITY_TOKEN_FILE is set, and comes first, as for the AWS CLI; --profile p chooses the profile"}},
		{name: "web identity variables before AWS_PROFILE with SSO", config: "[profile p]\n" + sso + corp,
			env: "AWS_PROFILE=p|AWS_WEB_IDENTITY_TOKEN_FILE=/t|AWS_ROLE_ARN=" + roleB, want: "web identity token → " + roleB,
			notes: []string{"AWS_PROFILE=p does not say whose credentials are used: AWS_WEB_IDENTITY_TOKEN_FILE is set, and comes first, as for the AWS CLI; --profile p chooses the profile"}},
		{name: "--profile before web identity variables", credentials: "[p]\n" + keys("AKIAP"), profile: "p",
			env: "AWS_WEB_IDENTITY_TOKEN_FILE=/t|AWS_ROLE_ARN=" + roleB, want: "AKIAP"},
		{name: "environment before AWS_PROFILE", credentials: "[p]\n" + keys("AKIAP"), env: envKeys + "|AWS_PROFILE=p", want: "AKIAENV",
			notes: []string{"AWS_PROFILE=p does not say whose credentials are used: AWS_ACCESS_KEY_ID is set, and comes first, as for the AWS CLI; --profile p chooses the profile"}},
		{name: "environment and a profile of settings alone", config: "[profile p]\nregion = r-1\n", env: envKeys + "|AWS_PROFILE=p", want: "AKIAENV"},
		{name: "AWS_PROFILE before AWS_DEFAULT_PROFILE", credentials: "[p]\n" + keys("AKIAP") + "[q]\n" + keys("AKIAQ"), env: "AWS_PROFILE=p|AWS_DEFAULT_PROFILE=q", want: "AKIAP",
			notes: []string{"AWS_DEFAULT_PROFILE=q is ignored: AWS_PROFILE=p comes first, as for version 2 of the AWS CLI"}},
		{name: "old names after the profile", credentials: "[default]\n" + keys("AKIADEF"), env: "AWS_ACCESS_KEY=AKIAOLD|AWS_SECRET_KEY=s", want: "AKIADEF"},
		{name: "half a pair in the environment", credentials: "[default]\n" + keys("AKIADEF"), env: "AWS_ACCESS_KEY_ID=A", want: "AKIADEF",
			notes: []string{"AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY: ignored"}},
		{name: "AWS_SECURITY_TOKEN", env: "AWS_ACCESS_KEY_ID=ASIAENV|AWS_SECRET_ACCESS_KEY=s|AWS_SECURITY_TOKEN=t", want: "ASIAENV token t"},
		{name: "aws_security_token", credentials: "[default]\n" + keys("ASIADEF") + "aws_security_token = t\n", want: "ASIADEF token t"},

		{name: "source with a role and keys", config: "[profile p]\n" + role(roleA, "q") + "[profile q]\n" + role(roleB, "r"), credentials: "[q]\n" + keys("AKIAQ") + "[r]\n" + keys("AKIAR"), profile: "p", want: "AKIAQ > " + roleA},
		{name: "its own source", config: "[profile p]\n" + role(roleA, "p") + keys("AKIAP"), profile: "p", want: "AKIAP > " + roleA},
		{name: "a role without a source, with keys", config: "[profile p]\nrole_arn = " + roleA + "\n" + keys("AKIAP"), profile: "p", want: "AKIAP > " + roleA},
		{name: "source that is a login", config: "[profile p]\n" + role(roleA, "q") + "[profile q]\n" + login, profile: "p", want: `profile "p" by login > ` + roleA},
		{name: "source that is SSO", config: "[profile p]\n" + role(roleA, "q") + "[profile q]\n" + sso + corp, profile: "p", want: `profile "p" by SSO q > ` + roleA},
		{name: "source that is a process", config: "[profile p]\n" + role(roleA, "q") + "[profile q]\n" + process + "AKIAPROC\n", profile: "p", want: "AKIAPROC > " + roleA},
		{name: "web identity and a source", config: "[profile p]\nweb_identity_token_file = /t\n" + role(roleA, "q"), credentials: "[q]\n" + keys("AKIAQ"), profile: "p", want: `profile "p" → ` + roleA},
		{name: "a chain, and keys that are not used", config: "[profile p]\n" + role(roleA, "q") + keys("AKIAP"), credentials: "[q]\n" + keys("AKIAQ"), profile: "p", want: "AKIAQ > " + roleA,
			overlooks: []string{`profile "p" has role_arn as well as aws_access_key_id: the role is assumed with what its source_profile gives`}},

		{name: "single quotes in a header", config: "[profile 'my prod']\n" + keys("AKIAP"), profile: "my prod", want: "AKIAP"},
		{name: "double quotes in a header", config: "[profile \"a\"]\n" + keys("AKIAP"), profile: "a", want: "AKIAP"},
		{name: "blanks without quotes", config: "[ profile my prod ]\n" + keys("AKIAP"), profile: "my prod", want: "AKIAP"},
		{name: "quoted session", config: "[profile p]\n" + strings.Replace(sso, "corp", "my corp", 1) + strings.Replace(corp, "corp", "'my corp'", 1), profile: "p", want: `profile "p" by SSO p`},
		{name: "the later of two defaults", config: "[profile default]\n" + keys("AKIAONE") + "[default]\n" + keys("AKIATWO"), want: "AKIATWO"},
		{name: "the later of two defaults, the other way round", config: "[default]\n" + keys("AKIAONE") + "[profile default]\n" + keys("AKIATWO"), want: "AKIATWO"},
		{name: "one section twice", config: "[profile p]\naws_access_key_id = AKIAP\n[profile q]\n[profile p]\naws_secret_access_key = s\n", profile: "p", want: "AKIAP"},
		{name: "comments and quotes", config: "; x\n[profile p] # x\naws_access_key_id = \"AKIAP\" ; x\n  # x\naws_secret_access_key : s # x\n", profile: "p", want: "AKIAP"},
		{name: "indented keys", config: "[profile p]\n  aws_access_key_id = AKIAP\n  aws_secret_access_key = s\n", profile: "p", want: "AKIAP"},
		{name: "a lone quote", config: "[profile p]\nregion = \"\n" + keys("AKIAP"), profile: "p", want: "AKIAP"},
		{name: "byte order mark and CRLF", config: "\xef\xbb\xbf[profile p]\r\n" + strings.ReplaceAll(keys("AKIAP"), "\n", "\r\n"), profile: "p", want: "AKIAP"},
		{name: "a header that does not end", config: "[profile p]\n" + keys("AKIAP") + "[profile q\n" + keys("AKIAQ"), profile: "p", want: "AKIAP"},
		{name: "keys before any section", config: keys("AKIAX") + "what is this\n[profile p]\n" + keys("AKIAP"), profile: "p", want: "AKIAP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conf, creds := isolate(t)
			write(t, conf, tt.config)
			write(t, creds, tt.credentials)
			if tt.env != "" {
				setenv(t, strings.Split(tt.env, "|")...)
			}
			src := mustNew(t, Spec{Profile: tt.profile})
			if got := chosen(t, src); got != tt.want {
				t.Errorf("found %s, want %s", got, tt.want)
			}
			if diff := cmp.Diff(tt.notes, src.Notes()); diff != "" {
				t.Errorf("Notes (-want +got):\n%s", diff)
			}
			var overlooks []string
			for _, line := range src.Facts().Overlooked {
				overlooks = append(overlooks, strings.NewReplacer(conf, "CONFIG", creds, "CREDENTIALS").Replace(line))
			}
			if diff := cmp.Diff(tt.overlooks, overlooks); diff != "" {
				t.Errorf("Overlooked (-want +got):\n%s", diff)
			}
		})
	}
}

// chosen is what a source came to, without asking anyone: a key id and the roles, or
// what it describes.
func chosen(t *testing.T, src *Source) string {
	f := src.resolved
	text := src.Describe()
	switch atHand := src.Facts().Keys != nil; {
	case f.ssoProfile != "":
		text = f.description + " by SSO " + f.ssoProfile
	case f.from(aws.CredentialSourceLogin):
		text = f.description + " by login"
	case atHand, f.program != "":
		c, err := f.base(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text = c.AccessKeyID
		if c.SessionToken != "" {
			text += " token " + c.SessionToken
		}
	default:
		return text
	}
	for _, r := range f.roles {
		text += " > " + r.ARN
	}
	return text
}

// credential_process lines as AWS documents them, and as people write them.
func TestProcessLine(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("has other rules")
	}
	setenv(t, "WHO=me")
	dir := filepath.Join(t.TempDir(), "with space")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	args := filepath.Join(dir, "args")
	if err := os.WriteFile(args, []byte("#!/bin/sh\nfor a; do printf '<%s>' \"$a\" >&2; done\necho '{\"Version\":1,\"AccessKeyId\":\"AKIAP\",\"SecretAccessKey\":\"s\"}'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(t.TempDir(), "args")
	if err := os.Symlink(args, plain); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ line, want string }{
		{`"DIR/args" parameterWithoutSpaces "parameter with spaces"`, "<parameterWithoutSpaces><parameter with spaces>"},
		{`"DIR/args"`, ""},
		{`'DIR/args' "Vault" "AWS Access Key"`, "<Vault><AWS Access Key>"},
		{`"PLAIN" "x"`, "<x>"},
		{`PLAIN a # b ; c`, "<a><#><b>;"}, // a ; alone is the shell's
		{`PLAIN a # b`, "<a><#><b>"},
		{`PLAIN a #b 'c #d'`, "<a><#b><c #d>"},
		{`PLAIN '$WHO' "$WHO" \$WHO ""`, "<$WHO><$WHO><$WHO><>"},
		{`PLAIN a\ b "a\"b\c" 'a\b'`, `<a b><a"b\c><a\b>`},
		{`sh -c "PLAIN a ; exit 0"`, "<a>"},
		{`sh -c 'PLAIN "a # b"; exit 0'`, "<a # b>"},
		{"PLAIN a\n  b=c", "<a><b=c>"},
		// What only a shell can do is left to one.
		{`PLAIN $WHO`, "<me>"},
		{`PLAIN a | cat`, "<a>"},
		{`WHO=you sh -c 'PLAIN $WHO'`, "<you>"},
		{`"$PLAINDIR/args" a`, "<a>"},
		{`true && PLAIN ~`, "<HOME>"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			conf, _ := isolate(t)
			home, _ := envOf(t).home()
			setenv(t, "PLAINDIR="+filepath.Dir(plain))
			line := strings.NewReplacer("DIR/", dir+"/", "$PLAINDIR", "$PLAINDIR", "PLAIN", plain).Replace(tt.line)
			write(t, conf, "[profile p]\n# no\ncredential_process = "+line+"\nregion = r-1\n")
			var stderr strings.Builder
			src := mustNew(t, Spec{Profile: "p", Stderr: &stderr})
			want, shell := strings.CutSuffix(strings.ReplaceAll(tt.want, "HOME", home), ";")
			if shell {
				want = "<a>" // its # begins a comment there
			}
			c, err := src.Retrieve(t.Context())
			if err != nil || c.AccessKeyID != "AKIAP" || stderr.String() != want || src.Region() != "r-1" {
				t.Errorf("%s: set %s, %v, arguments %s, want %s", line, c.AccessKeyID, err, stderr.String(), want)
			}
		})
	}
}

// The two file variables are as the AWS CLI reads them.
func TestFileVariables(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"~/conf", "$HOME/conf", "${HOME}/conf"} {
		isolate(t)
		home, _ := envOf(t).home()
		write(t, filepath.Join(home, "conf"), "[default]\naws_access_key_id = AKIADEF\naws_secret_access_key = s\n")
		for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
			setenv(t, "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
			setenv(t, name+"="+value)
			if c := mustRetrieve(t, mustNew(t, Spec{})); c.AccessKeyID != "AKIADEF" {
				t.Errorf("%s=%s: key %s, want AKIADEF", name, value, c.AccessKeyID)
			}
		}
	}
	isolate(t)
	setenv(t, "AWS_CONFIG_FILE=$NONE/~/x")
	if got := envOf(t).sharedFiles()[0]; got != "$NONE/~/x" {
		t.Errorf("path %q, want it as it was", got)
	}
}

// What cannot be read is said, and counts as empty.
func TestUnreadableConfiguration(t *testing.T) {
	t.Parallel()
	conf, _ := isolate(t)
	baseEnv(t)
	write(t, conf, "")
	if err := os.Chmod(conf, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(conf); err == nil {
		f.Close()
		t.Skip("root can read everything: CI runs it without root, too")
	}
	src := mustNew(t, Spec{})
	if n := src.Notes(); len(n) != 1 || !strings.Contains(n[0], "permission denied") {
		t.Errorf("Notes = %q, want one of the file", n)
	}
}

// A shell's <(COMMAND) is read once, and counts as long as the run lasts.
func TestPiped(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("has no such paths")
	}
	_, creds := isolate(t)
	piped := func(variable string, lines ...string) (path string) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		go func() { // a part at a time
			defer w.Close()
			for _, line := range lines {
				w.WriteString(line + "\n")
			}
		}()
		path = fmt.Sprintf("/dev/fd/%d", r.Fd())
		setenv(t, variable+"="+path)
		return path
	}
	piped("AWS_CONFIG_FILE", "[profile p]", "aws_access_key_id = AKIAPIPED", "aws_secret_access_key = s", "region = r-1")
	src := mustNew(t, Spec{Profile: "p"})
	if c := mustRetrieve(t, src); c.AccessKeyID != "AKIAPIPED" || src.Region() != "r-1" {
		t.Errorf("key %s, region %s", c.AccessKeyID, src.Region())
	}
	write(t, creds, "[p]\naws_session_token = t\n") // all is read again
	if c := mustRetrieve(t, src); c.AccessKeyID != "AKIAPIPED" || src.Notes() != nil {
		t.Errorf("read again: key %s, Notes %q", c.AccessKeyID, src.Notes())
	}
	if !envOf(t).hasProfile("p") {
		t.Error("the profile is forgotten")
	}

	path := piped("AWS_CONFIG_FILE")
	_, err := newIn(t, Spec{Profile: "q"})
	if e := failure(t, err); e.Hint != "the profiles are p ("+path+" cannot be read)" {
		t.Errorf("hint %q", e.Hint)
	}
	src = mustNew(t, Spec{})
	if diff := cmp.Diff([]string{"the AWS configuration in " + path + " cannot be read, and is taken as empty: it is a pipe, and nobody writes to it"}, src.Notes()); diff != "" {
		t.Errorf("Notes (-want +got):\n%s", diff)
	}
	_, err = src.Retrieve(t.Context())
	if e := failure(t, err); !strings.HasSuffix(e.Hint, "the profiles are p ("+path+" cannot be read)") {
		t.Errorf("hint %q", e.Hint)
	}
	setenv(t, "AWS_CONFIG_FILE="+t.TempDir(), "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
	if n := mustNew(t, Spec{}).Notes(); len(n) != 1 || !strings.Contains(n[0], "it is not a regular file") {
		t.Errorf("Notes = %q, want one of the directory", n)
	}
}

// Addresses and files that no request can be made with are named at the start.
func TestClientSettings(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, config, env, want string }{
		{"no scheme", "", "AWS_ENDPOINT_URL_STS=sts.example.com", `AWS_ENDPOINT_URL_STS: "sts.example.com" is not the address of a server`},
		{"port for a scheme", "", "AWS_ENDPOINT_URL=localhost:4566", `AWS_ENDPOINT_URL: "localhost:4566" is not the address of a server`},
		{"in the profile", "[default]\nendpoint_url = x\n", "", `profile "default": endpoint_url: "x" is not the address of a server`},
		{"in the services", "[default]\nservices = s\n[services s]\nsts =\n  endpoint_url = x\n", "", `endpoint_url of sts, in the services of profile "default": "x" is not the address of a server`},
		{"no bundle", "", "AWS_CA_BUNDLE=/nope", "AWS_CA_BUNDLE: open /nope: no such file or directory"},
		{"no bundle of the profile", "[default]\nca_bundle = /nope\n", "", `ca_bundle in profile "default": open /nope: no such file or directory`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conf, _ := isolate(t)
			baseEnv(t)
			write(t, conf, tt.config)
			if tt.env != "" {
				setenv(t, tt.env)
			}
			_, err := newIn(t, Spec{Roles: []Role{{ARN: roleA}}})
			if e := failure(t, err); e.Error() != tt.want || !e.Permanent {
				t.Errorf("error %q, permanent %v, want %q", e, e.Permanent, tt.want)
			}
			if strings.Contains(tt.want, "address") {
				setenv(t, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true")
				mustNew(t, Spec{Roles: []Role{{ARN: roleA}}})
			}
			mustRetrieve(t, mustNew(t, Spec{})) // keys that are there need none of it
		})
	}
}

// What a profile lacks is said when no instance's role has come in its place.
func TestLacks(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		"role_arn = " + roleA + "\n":                    `profile "p": has role_arn, but neither source_profile nor credential_source`,
		"source_profile = q\n":                          `profile "p": has source_profile, but no role_arn`,
		"sso_start_url = https://x.awsapps.com/start\n": `profile "p": has sso_start_url, but neither sso_account_id nor sso_role_name`,
	} {
		conf, _ := isolate(t)
		write(t, conf, "[profile p]\n"+config)
		_, err := mustNew(t, Spec{Profile: "p"}).Retrieve(t.Context())
		if e := failure(t, err); !strings.HasSuffix(e.Error(), want) || !e.Permanent {
			t.Errorf("error %q, permanent %v, want %q", e, e.Permanent, want)
		}
	}
}

// The profile that a variable names is missing: the AWS CLI refuses, for both variables.
func TestMissingProfile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"} {
		_, creds := isolate(t)
		write(t, creds, "[prod]\n")
		setenv(t, name+"=prdo")
		_, err := newIn(t, Spec{})
		if e := failure(t, err); e.Error() != `profile "prdo": there is no such profile (`+name+` names it)` || e.Hint != `did you mean "prod"?` {
			t.Errorf("error %q, hint %q", e, e.Hint)
		}
		// A source of its own does not look at it.
		mustNew(t, Spec{Command: []string{"true"}})
	}
}

// CloudTrail shows who asked.
func TestUserAgent(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	var agents []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agents = append(agents, r.UserAgent())
		r.ParseForm()
		stsAnswer(w, r.Form.Get("Action"), time.Hour)
	}))
	defer srv.Close()
	setenv(t, "AWS_ENDPOINT_URL="+srv.URL)
	src := mustNew(t, Spec{Roles: []Role{{ARN: roleA}}})
	mustRetrieve(t, src)
	// The way to IoT Core, IAM Roles Anywhere and GitHub.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := src.exchange(req, nil, ""); err != nil {
		t.Fatal(err)
	}
	if len(agents) != 2 || !strings.Contains(agents[0], " brs-exec") || agents[1] != "brs-exec" {
		t.Errorf("User-Agent = %q, want brs-exec in both", agents)
	}
}

func FuzzSections(f *testing.F) {
	for _, s := range []string{"", "[a]\nb = c\n", "[a\nb", "[profile 'a b']\n s3 =\n  x = y\n", "[a]\ncredential_process = x\n  y = z\n[", "[]\n=\n", "\"", "[a]\n\xff = '\n", "[a]\r\nb=c\r\n  d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range sections([]byte(text)) {
			s.name()
			processArgv(s.get(processKey))
		}
	})
}

// What is no length of a session is left out: AWS then gives the role's own.
func TestSeconds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"3600": time.Hour, "": 0, "1h": 0, "-1": 0, "9999999999": 0, "99999999999999999999": 0} {
		if got := seconds(text); got != want {
			t.Errorf("duration_seconds = %s: %s, want %s", text, got, want)
		}
	}
}
