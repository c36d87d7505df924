package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/control"
	"brs-exec.example/brs-exec/refresh/doctor"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/supervisor"
)

var update = flag.Bool("update", false, "write the golden files and docs/flags.md")

// runQuietly runs brs-exec in this process; only for what starts no command.
func runQuietly(args ...string) (stdout, stderr string, code int) {
	var out, err bytes.Buffer
	p := &program{stdout: &out, stderr: &err, flush: func() {}, signals: &supervisor.Signals{}}
	code = p.run(args)
	return out.String(), err.String(), code
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", name, diff)
	}
}

func TestHelp(t *testing.T) {
	t.Setenv("COLUMNS", "")
	for _, test := range []struct {
		golden string
		args   []string
	}{
		{"help.golden", []string{"--help"}},
		{"help.golden", []string{"help"}},
		{"help.golden", []string{"--profile", "x", "-h"}},
		{"help-credentials.golden", []string{"credentials", "--help"}},
		{"help-credentials.golden", []string{"help", "credentials"}},
		{"help-keep.golden", []string{"keep", "--help"}},
		{"help-login.golden", []string{"login", "--help"}},
		{"help-demo.golden", []string{"demo", "--help"}},
		{"help-doctor.golden", []string{"doctor", "--help"}},
		{"help-rehearse.golden", []string{"rehearse", "--help"}},
		{"help-status.golden", []string{"status", "--help"}},
		{"help-refresh.golden", []string{"refresh", "-h"}},
		{"help-help.golden", []string{"help", "help"}},
		{"help-flags.golden", []string{"help", "flags"}},
		{"help-flags.golden", []string{"-h", "flags"}},
		{"help-status.golden", []string{"--help", "status"}},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			stdout, stderr, code := runQuietly(test.args...)
			if code != 0 || stderr != "" {
				t.Errorf("exit code %d, standard error %q", code, stderr)
			}
			golden(t, test.golden, stdout)
		})
	}
}

func TestUsageErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(text string) string {
		path := filepath.Join(dir, fmt.Sprintf("%x.yaml", text))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := filepath.Join(dir, "config")
	if err := os.WriteFile(config, []byte("[profile prod]\nregion = eu-west-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	withoutSettings(t)
	t.Setenv("AWS_CONFIG_FILE", config)
	for _, test := range []struct {
		name     string
		variable string // BRS_EXEC_MIN_TTL if empty
		env      string
		args     []string
		want     string
	}{
		{name: "nothing", want: "no command to run\nbrs-exec [FLAGS] -- COMMAND [ARG...], or brs-exec --help"},
		{name: "dashes only", args: []string{"--"}, want: "no command to run\nbrs-exec [FLAGS] -- COMMAND [ARG...], or brs-exec --help"},
		{name: "no dashes", args: []string{"python", "job.py"}, want: "\"python\" is neither a flag nor a subcommand\nto run it as a command put -- in front: brs-exec -- python job.py"},
		{name: "words before dashes", args: []string{"--quiet", "python", "--", "x"}, want: "\"python\" is neither a flag nor a subcommand\nto run it as a command put -- in front: brs-exec --quiet -- python -- x"},
		{name: "what was typed is kept", args: []string{"--role-arn", "arn:aws:iam::123456789012:role/App", "--tag", "a=it's b", "aws", "s3", "ls"}, want: "\"aws\" is neither a flag nor a subcommand\nto run it as a command put -- in front: brs-exec --role-arn arn:aws:iam::123456789012:role/App --tag 'a=it'\\''s b' -- aws s3 ls"},
		{name: "what was typed is kept with a subcommand", args: []string{"doctor", "--region=eu-west-1", "aws", "--", "x"}, want: "\"aws\" is neither a flag nor a subcommand\nto run it as a command put -- in front: brs-exec doctor --region=eu-west-1 -- aws -- x"},
		{name: "exec of a profile", args: []string{"--quiet", "exec", "prod", "--", "aws", "s3"}, want: "there is no subcommand exec\nbrs-exec --quiet --profile prod -- aws s3"},
		{name: "exec of a profile without dashes", args: []string{"exec", "prod", "aws", "s3"}, want: "there is no subcommand exec\nbrs-exec --profile prod -- aws s3"},
		{name: "exec of no profile", args: []string{"exec", "gone", "--", "aws"}, want: "there is no subcommand exec\nbrs-exec --profile NAME -- aws"},
		{name: "exec alone", args: []string{"exec"}, want: "there is no subcommand exec\nbrs-exec --profile NAME -- COMMAND"},
		{name: "a profile", args: []string{"prod", "--", "aws", "s3"}, want: "\"prod\" is neither a flag nor a subcommand\nbrs-exec --profile prod -- aws s3"},
		{name: "long dash", args: []string{"--quiet", "—", "touch", "x"}, want: "\"—\" begins with a long dash, as word processors make it\ntype two hyphens: brs-exec --quiet -- touch x"},
		{name: "long dashes", args: []string{"–role-arn", "x", "—", "touch", "–x"}, want: "\"–role-arn\" begins with a long dash, as word processors make it\ntype two hyphens: brs-exec --role-arn x -- touch –x"},
		{name: "misspelt subcommand", args: []string{"stauts"}, want: "\"stauts\" is neither a flag nor a subcommand\ndid you mean brs-exec status?"},
		{name: "a truth that is none", args: []string{"--quiet=no", "--", "true"}, want: "--quiet takes no value, or true or false, not \"no\""},
		{name: "flag before status", args: []string{"--profile", "prod", "status"}, want: "flags stand before \"status\", where they would be lost\nleave them out: brs-exec help status"},
		{name: "unknown flag of status", args: []string{"status", "--watsch"}, want: "no flag is named --watsch\ndid you mean --watch?"},
		{name: "two profiles", args: []string{"--profile", "a", "--profile=b", "--", "true"}, want: "--profile is given twice: \"a\" and \"b\"\nkeep the one that is meant"},
		{name: "misspelt variable", variable: "BRS_EXEC_ROLEARN", env: "x", args: []string{"--", "true"}, want: "no setting is named BRS_EXEC_ROLEARN\ndid you mean BRS_EXEC_ROLE_ARN?"},
		{name: "another misspelt variable", variable: "BRS_EXEC_DELIVERY", env: "file", args: []string{"credentials"}, want: "no setting is named BRS_EXEC_DELIVERY\ndid you mean BRS_EXEC_DELIVER?"},
		{name: "unknown variable", variable: "BRS_EXEC_XYZZY", env: "1", args: []string{"doctor"}, want: "no setting is named BRS_EXEC_XYZZY\nunset BRS_EXEC_XYZZY"},
		{name: "section of no file", args: []string{"--credentials-file-profile", "app", "--", "true"}, want: "--credentials-file-profile needs --credentials-file\nname the file: --credentials-file PATH"},
		{name: "misspelt flag", args: []string{"--profil", "x", "--", "true"}, want: "no flag is named --profil\ndid you mean --profile?"},
		{name: "unknown flag", args: []string{"--xyzzy", "--", "true"}, want: "no flag is named --xyzzy\nbrs-exec help flags lists them"},
		{name: "flag without value", args: []string{"--profile", "--", "true"}, want: "--profile needs a value"},
		{name: "bad value", args: []string{"--min-ttl", "5", "--", "true"}, want: "--min-ttl \"5\": not a duration\na number needs its unit: --min-ttl 5s or 5m"},
		{name: "bad variable", env: "5", args: []string{"--", "true"}, want: "--min-ttl \"5\": not a duration (--min-ttl is from BRS_EXEC_MIN_TTL)\na number needs its unit: --min-ttl 5s or 5m"},
		{name: "empty flag", args: []string{"--profile", "", "--", "true"}, want: "--profile is empty\nleave it out, or look whether a variable in it is unset"},
		{name: "empty one of several", args: []string{"--role-arn", "arn:aws:iam::1:role/x", "--role-arn=", "--", "true"}, want: "--role-arn is empty\nleave it out, or look whether a variable in it is unset"},
		{name: "two sources, one from a file", args: []string{"--config", file("profile: p\n"), "--credential-command", "x", "--", "true"}, want: "--profile and --credential-command are two sources; name one (--profile is from DIR/70726f66696c653a20700a.yaml:1)\nkeep the one that knows the credentials"},
		{name: "region", args: []string{"--region", "eu west", "--", "true"}, want: "--region \"eu west\": not a region\na region looks like eu-west-1"},
		{name: "hook that is not there", args: []string{"--on-refresh", "exec:/no/such --x", "--", "true"}, want: "--on-refresh runs \"/no/such\": no such file or directory"},
		{name: "hook for the source's end that is not there", args: []string{"--on-source-ending", "exec:/no/such --x", "--", "true"}, want: "--on-source-ending runs \"/no/such\": no such file or directory"},
		{name: "command for login", args: []string{"login", "--profile", "p", "--", "true"}, want: "login runs no command\nbrs-exec login --profile NAME, and then brs-exec --profile NAME -- COMMAND"},
		{name: "run directory and a source", args: []string{"credentials", "--run-dir", "/x", "--region", "p"}, want: "--run-dir takes what a running brs-exec holds; --region would retrieve from a source"},
		{name: "bad level", args: []string{"--log-level", "loud", "--", "true"}, want: "--log-level \"loud\": no such level\none of debug, info, warn, error"},
		{name: "bad format", args: []string{"--log-format", "xml", "--", "true"}, want: "--log-format \"xml\": no such format\none of text, json"},
		{name: "flag before subcommand", args: []string{"--profile", "x", "credentials"}, want: "flags stand before \"credentials\", where they would be lost\nbrs-exec credentials --profile x"},
		{name: "flags before doctor", args: []string{"--quiet", "--profile=a b", "doctor", "--ask", "--", "aws", "s3"}, want: "flags stand before \"doctor\", where they would be lost\nbrs-exec doctor --quiet '--profile=a b' --ask -- aws s3"},
		{name: "command for credentials", args: []string{"credentials", "--", "true"}, want: "credentials runs no command\nbrs-exec -- COMMAND runs one with fresh credentials"},
		{name: "format of credentials", args: []string{"credentials", "--format", "toml"}, want: "--format \"toml\": no such format\none of process, env, ini"},
		{name: "status --watch without a terminal", args: []string{"status", "1", "--watch"}, want: "--watch needs a terminal\nbrs-exec status --json, each time you want to know"},
		{name: "status for two kinds of probes", args: []string{"status", "--check", "--ready"}, want: "--check and --ready judge differently of credentials that are valid, but fail to be refreshed\nleave one of them out"},
		{name: "status --watch for a probe", args: []string{"status", "--watch", "--check"}, want: "--watch is for people, and goes with none of --json, --check and --ready\nleave one of them out"},
		{name: "refresh of a command", args: []string{"refresh", "--", "true"}, want: "refresh runs no command\nbrs-exec -- COMMAND runs one with fresh credentials"},
		{name: "refresh in no time", args: []string{"refresh", "--timeout", "0s"}, want: "--timeout must be longer than nothing\nas in --timeout 90s"},
		{name: "status of two", args: []string{"status", "1", "2"}, want: "\"2\" is one process id or name too many\nbrs-exec status lists what is running"},
		{name: "status of a command", args: []string{"status", "--", "true"}, want: "status runs no command\nbrs-exec -- COMMAND runs one with fresh credentials"},
		{name: "no run directory", args: []string{"credentials", "--run-dir", dir}, want: "no credentials in " + dir + ": the brs-exec that kept them has exited; start the command under brs-exec again"},
		{name: "a profile that the run does not have", args: []string{"credentials", "--profile=p", "--run-dir", dir}, want: "no credentials of profile \"p\" in " + dir + ": brs-exec has none for it yet, or no such profile; see its messages"},
		{name: "shell", args: []string{"completion", "tcsh"}, want: "completion is for one of bash, zsh, fish\nsource <(brs-exec completion bash)"},
		{name: "subcommand of help", args: []string{"help", "me"}, want: "no subcommand is named \"me\"\nbrs-exec help"},
		{name: "subcommand of -h", args: []string{"-h", "me"}, want: "no subcommand is named \"me\"\nbrs-exec help"},
		{name: "no file", args: []string{"--config", "/nowhere.yaml", "--", "true"}, want: "--config /nowhere.yaml: no such file or directory"},
		{name: "unknown key", args: []string{"--config", file("region: x\nprofil: y\n"), "--", "true"}, want: "DIR/726567696f6e3a20780a70726f66696c3a20790a.yaml:2: no setting is named \"profil\"\ndid you mean profile?"},
		{name: "two values", args: []string{"--config", file("profile: [a, b]\n"), "--", "true"}, want: "DIR/70726f66696c653a205b612c20625d0a.yaml:1: profile takes one value, not 2"},
		{name: "bad value in file", args: []string{"--config", file("stop-signal: NO\n"), "--", "true"}, want: "--stop-signal \"NO\": no such signal (--stop-signal is from DIR/73746f702d7369676e616c3a204e4f0a.yaml:1)\na name or number as kill takes it: TERM, INT, QUIT"},
		{name: "bad truth value", args: []string{"--config", file("quiet: maybe\n"), "--", "true"}, want: "DIR/71756965743a206d617962650a.yaml:1: quiet is true or false, not \"maybe\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(cmp.Or(test.variable, "BRS_EXEC_MIN_TTL"), test.env)
			stdout, stderr, code := runQuietly(test.args...)
			if code != exitFailed || stdout != "" {
				t.Errorf("exit code %d, standard output %q", code, stdout)
			}
			message, hint, _ := strings.Cut(strings.ReplaceAll(test.want, "DIR", dir), "\n")
			want := "brs-exec: error: " + message + "\n"
			if hint != "" {
				want += "brs-exec: hint: " + hint + "\n"
			}
			if diff := gocmp.Diff(want, stderr); diff != "" {
				t.Errorf("standard error (-want +got):\n%s", diff)
			}
		})
	}
}

// withoutSettings takes out what the environment of a test could have in it.
func withoutSettings(t *testing.T) {
	t.Helper()
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		for _, prefix := range []string{"AWS", "AMAZON", "BRS_EXEC", "MC_HOST", "RCLONE", "PYTHON", "PYENV"} {
			if strings.HasPrefix(name, prefix) {
				t.Setenv(name, "") // so that it is put back
				os.Unsetenv(name)
			}
		}
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
}

// TestErrorsAsJSON: whoever asks for JSON gets it when nothing is started, too.
func TestErrorsAsJSON(t *testing.T) {
	withoutSettings(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	config := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(config, []byte("log-format: json\ndeliver: mail\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	type line struct {
		Level, Msg, Hint string
		Time             time.Time
		Code             int `json:"exit-code"`
	}
	for _, test := range []struct {
		name, env string
		args      []string
		want      line
	}{
		{"flag of a usage error", "", []string{"--log-format", "json", "--frobnicate", "--", "true"}, line{Msg: "no flag is named --frobnicate", Hint: "brs-exec help flags lists them"}},
		{"flag behind the error", "", []string{"--frobnicate", "--log-format=json", "--", "true"}, line{Msg: "no flag is named --frobnicate", Hint: "brs-exec help flags lists them"}},
		{"variable", "json", []string{"--profile", "", "--", "true"}, line{Msg: "--profile is empty", Hint: "leave it out, or look whether a variable in it is unset"}},
		{"file", "", []string{"--config", config, "--", "true"}, line{Msg: `--deliver "mail": no such delivery (--deliver is from ` + config + `:2)`, Hint: "one of auto, process, file, endpoint, imds, env, sign"}},
		{"no hint", "json", []string{"--profile"}, line{Msg: "--profile needs a value"}},
		{"source", "json", []string{"credentials", "--credential-command", "/no/such/\x1b[31mprogram"}, line{Msg: "PROGRAM"}},
		{"text after all", "json", []string{"--log-format", "text", "--profile"}, line{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("BRS_EXEC_LOG_FORMAT", test.env)
			stdout, stderr, code := runQuietly(test.args...)
			if code != exitFailed || stdout != "" || strings.Count(stderr, "\n") != 1 {
				t.Fatalf("exit code %d, standard output %q, standard error, which is to be a line, %q", code, stdout, stderr)
			}
			if test.want == (line{}) {
				if !strings.HasPrefix(stderr, "brs-exec: error: ") {
					t.Errorf("standard error %q, want text", stderr)
				}
				return
			}
			var got line
			if err := json.Unmarshal([]byte(stderr), &got); err != nil {
				t.Fatalf("%q: %v", stderr, err)
			}
			if got.Time.IsZero() {
				t.Errorf("%s has no time", stderr)
			}
			got.Time, test.want.Level, test.want.Code = time.Time{}, "ERROR", exitFailed
			if test.want.Msg == "PROGRAM" && strings.Contains(got.Msg, "program") {
				test.want.Msg, test.want.Hint = got.Msg, got.Hint
			}
			if diff := gocmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// hostile are texts that would do something to a terminal, and what they are
// shown as.
var hostile = map[string]string{
	"\x1b]0;pwned\a": `\u001b]0;pwned\u0007`, "\x1b]52;c;cm0gLXJm\x1b\\": `\u001b]52;c;cm0gLXJm\u001b\`, "\x1b[2J": `\u001b[2J`, "a\bb": `a\u0008b`,
	"\u009b31m": `\u009b31m`, "\x9b31m": `\x9b31m`, "\x7f": `\u007f`, "user\u202egpj": `user\u202egpj`, "\u2066x\u2069": `\u2066x\u2069`,
	"\U000e0041": `\udb40\udc41`, "\u200b": `\u200b`, "\u2028": `\u2028`, "\x00": `\u0000`, "\f\v": `\u000c\u000b`,
}

// unprintable finds what a terminal would not merely show.
func unprintable(text string) bool {
	return !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsGraphic(r) })
}

// TestPrintable: whatever a configuration, a server or a file's name has in it, it
// is shown, and the terminal is not told anything.
func TestPrintable(t *testing.T) {
	withoutSettings(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for bad, shown := range hostile {
		t.Run(shown, func(t *testing.T) {
			var b bytes.Buffer
			p := &program{stderr: printable{&b}, stdout: &b}
			says := map[string]func(){
				"an error":          func() { p.printError(errors.New("STS: "+bad), 1) },
				"a hint":            func() { p.printError(&plan.Error{Text: "x", Hint: bad}, 1) },
				"an error in JSON":  func() { (&program{stderr: p.stderr, asJSON: true}).printError(errors.New(bad), 1) },
				"a verification":    func() { p.showLogin("gopher://x/"+bad, "CODE-"+bad) },
				"the name of login": func() { p.printf("logged in: %s", bad) },
				"a question":        func() { ask(context.Background(), strings.NewReader("1\n"), &b, "MFA code of "+bad+": ") },
				"a record": func() {
					p := control.Profile{Name: bad, Source: bad, KeyID: bad, Identity: bad, Failed: 1, Err: bad, Hint: bad, RequestID: bad, LivesOn: bad, SourceExpiry: time.Now()}
					r := control.Record{Name: bad, Command: bad, State: bad, Exit: bad, Starts: 2, DeliveryFailed: 1, DeliveryErr: bad, Profiles: []control.Profile{p}}
					b.WriteString(drawing{width: 80}.runs([]seenRun{{record: r}, {err: errors.New(bad)}}))
				},
				"a finding": func() {
					p.printFindings([]doctor.Finding{{Level: "problem", About: "source", Text: "profile " + bad, Hint: bad}}, false)
				},
				"a finding in JSON": func() {
					p.printFindings([]doctor.Finding{{Level: "problem", About: "source", Text: "profile " + bad, Hint: bad}}, true)
				},
				"a log line": func() {
					logger(p.stderr, plan.Output{JSON: false}).Warn(bad, "x", bad)
				},
				"a log line in JSON": func() {
					logger(p.stderr, plan.Output{JSON: true}).Warn(bad, "x", bad)
				},
			}
			for name, say := range says {
				b.Reset()
				if say(); b.Len() == 0 || unprintable(b.String()) {
					t.Errorf("%s: %q", name, b.String())
				}
				if strings.HasSuffix(name, "JSON") && !json.Valid(b.Bytes()) {
					t.Errorf("%s: no JSON: %s", name, b.String())
				}
			}
			if got := string(escape([]byte(bad))); got != shown {
				t.Errorf("escape(%q) = %s, want %s", bad, got, shown)
			}
			for _, args := range [][]string{{"--config", "/no/" + bad, "--", "true"}, {bad, "x"}, {"status", bad}, {"doctor", "--region", "eu-west-1", "--profile", "x" + bad, "--", "gone" + bad}} {
				if slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "\x00") }) {
					continue // no program can be given one
				}
				stdout, stderr, _ := runQuietly(args...)
				if stdout+stderr == "" || unprintable(stdout+stderr) {
					t.Errorf("brs-exec %q: %q", args, stdout+stderr)
				}
			}
		})
	}
	for _, plain := range []string{"", "tab\tand\nline", "Grüße 日本語 🙂 e\u0301\u00a0x", "\ufffd"} {
		if got := string(escape([]byte(plain))); got != plain {
			t.Errorf("escape(%q) = %q", plain, got)
		}
	}
}

func FuzzEscape(f *testing.F) {
	for bad := range hostile {
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := string(escape([]byte(text)))
		if unprintable(got) {
			t.Errorf("escape(%q) = %q", text, got)
		}
		if twice := string(escape([]byte(got))); twice != got {
			t.Errorf("escape of %q is %q", got, twice)
		}
	})
}

// TestPlaintextIsSaid: the token itself is missing, so that nobody is asked.
func TestPlaintextIsSaid(t *testing.T) {
	withoutSettings(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	flags := []string{"--web-identity-token-file", filepath.Join(t.TempDir(), "gone"), "--role-arn", "arn:aws:iam::123456789012:role/App", "--region", "eu-west-1", "--start-timeout", "1s"}
	for endpoint, want := range map[string]int{"http://192.0.2.10:9000": 1, "https://192.0.2.10:9000": 0, "http://127.0.0.1:9000": 0} {
		t.Setenv("AWS_ENDPOINT_URL_STS", endpoint)
		_, once, code := runQuietly(append([]string{"credentials"}, flags...)...)
		if code != exitFailed {
			t.Errorf("credentials: exit code %d", code)
		}
		_, whole, code := runQuietly(append(flags, "--", "true")...)
		if code != exitFailed {
			t.Errorf("a run: exit code %d", code)
		}
		for name, said := range map[string]string{"credentials": once, "a run": whole} {
			if got := strings.Count(said, "level=WARN msg=\"the web identity token goes to "+endpoint+" without encryption"); got != want {
				t.Errorf("%s with STS at %s says\n%s\nthat the token can be read is said %d times, want %d", name, endpoint, said, got, want)
			}
		}
	}
}

// TestNotRun: what is said of a command that cannot be run.
func TestNotRun(t *testing.T) {
	missing := fmt.Errorf("run: %w", fs.ErrNotExist)
	for _, test := range []struct {
		argv []string
		err  error
		hint string
	}{
		{[]string{"aws s3 ls"}, missing, "that is one word with blanks in it: leave the quotes off, or sh -c 'aws s3 ls'"},
		{[]string{"FOO=a b", "env"}, missing, "for a variable: brs-exec … -- env 'FOO=a b' env"},
		{[]string{"cd", "/tmp"}, missing, "cd is of the shell: sh -c 'cd …'"},
		{[]string{"--profile", "x"}, missing, "flags of brs-exec stand before the --, the command behind it"},
		{[]string{"/etc/passwd"}, fs.ErrPermission, "make it executable (chmod +x), or put its interpreter in front"},
		{[]string{"gone"}, missing, ""},
		{[]string{"cd"}, errors.New("fork failed"), ""},
	} {
		err := notRun(test.argv, test.err)
		hint := ""
		if wrong := new(plan.Error); errors.As(err, &wrong) {
			hint = wrong.Hint
		}
		if hint != test.hint || err.Error() != test.err.Error() {
			t.Errorf("notRun(%q): %v with the hint %q, want %q", test.argv, err, hint, test.hint)
		}
	}
}

// TestTyped: what is typed arrives, of whatever kind the flag is.
func TestTyped(t *testing.T) {
	withoutSettings(t)
	t.Setenv("BRS_EXEC_REGION", "us-east-1")
	t.Setenv("BRS_EXEC_PROFILE", "env")
	p := &program{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, all: true}
	var got *plan.Plan
	app := p.app()
	app.Action = func(c *cli.Context) error {
		s, err := p.settings(c)
		if err == nil {
			got, err = plan.New(s, nil)
		}
		return err
	}
	if err := p.dispatch(app, []string{"--region", "eu-west-1", "--as-profile", "a,b", "--as-profile=c", "--keep-imds", "--signal-group=false"}); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]any{"eu-west-1", "env", []string{"a,b", "c"}, true, false}, []any{got.Profiles[0].Source.Region, got.Profiles[0].Source.Profile, got.As, got.KeepIMDS, got.Child.SignalGroup}); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

// TestFlagsPage keeps the tables of flags in step with the flags.
func TestFlagsPage(t *testing.T) {
	const start, end = "<!-- flags: generated by go test ./refresh/cli -update -->\n", "<!-- /flags -->"
	const page = "../../docs/flags.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), start)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("docs/flags.md has no marks around its tables")
	}
	want := before + start + flagTable() + end + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(want, string(text)); diff != "" {
		t.Errorf("docs/flags.md (-want +got; -update writes it):\n%s", diff)
	}
}

func flagTable() string {
	var b strings.Builder
	about := ""
	for _, f := range plan.Flags("") {
		if f.About != about {
			about = f.About
			fmt.Fprintf(&b, "\n## %s\n\n| flag | |\n|---|---|\n", about)
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", written(f), strings.ReplaceAll(f.Text(), "|", `\|`))
	}
	return b.String() + "\n"
}
