package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
)

var update = flag.Bool("update", false, "write the golden files and the README's tables")

// runQuietly runs brs-exec in this process; only for what starts no command.
func runQuietly(args ...string) (stdout, stderr string, code int) {
	var out, err bytes.Buffer
	p := &program{stdout: &out, stderr: &err, flush: func() {}}
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
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", name, diff)
	}
}

func TestHelp(t *testing.T) {
	for _, test := range []struct {
		golden string
		args   []string
	}{
		{"help.golden", []string{"--help"}},
		{"help.golden", []string{"help"}},
		{"help-credentials.golden", []string{"credentials", "--help"}},
		{"help-credentials.golden", []string{"help", "credentials"}},
		{"help-login.golden", []string{"login", "--help"}},
		{"help-demo.golden", []string{"demo", "--help"}},
		{"help-doctor.golden", []string{"doctor", "--help"}},
		{"help-status.golden", []string{"status", "--help"}},
		{"completion-bash.golden", []string{"completion", "bash"}},
		{"completion-zsh.golden", []string{"completion", "zsh"}},
		{"completion-fish.golden", []string{"completion", "fish"}},
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
	t.Setenv("BRS_EXEC_MIN_TTL", "")
	for _, test := range []struct {
		name string
		env  string
		args []string
		want string
	}{
		{name: "nothing", want: "no command to run\nbrs-exec [FLAGS] -- COMMAND [ARG...], or brs-exec --help"},
		{name: "dashes only", args: []string{"--"}, want: "no command to run\nbrs-exec [FLAGS] -- COMMAND [ARG...], or brs-exec --help"},
		{name: "no dashes", args: []string{"python", "job.py"}, want: "\"python\" is neither a flag nor a subcommand\nto run it as a command put -- in front: brs-exec -- python job.py"},
		{name: "words before dashes", args: []string{"--quiet", "python", "--", "x"}, want: "\"python\" is neither a flag nor a subcommand\nto run it as a command put -- in front: brs-exec -- python -- x"},
		{name: "misspelt flag", args: []string{"--profil", "x", "--", "true"}, want: "no flag is named --profil\ndid you mean --profile?"},
		{name: "unknown flag", args: []string{"--xyzzy", "--", "true"}, want: "no flag is named --xyzzy\nbrs-exec --help lists them"},
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
		{name: "run directory and a source", args: []string{"credentials", "--run-dir", "/x", "--profile", "p"}, want: "--run-dir takes what a running brs-exec holds; --profile would ask a source"},
		{name: "bad level", args: []string{"--log-level", "loud", "--", "true"}, want: "--log-level \"loud\": no such level\none of debug, info, warn, error"},
		{name: "bad format", args: []string{"--log-format", "xml", "--", "true"}, want: "--log-format \"xml\": no such format\ntext or json"},
		{name: "flag before subcommand", args: []string{"--profile", "x", "credentials"}, want: "flags stand before \"credentials\", where they would be lost\nbrs-exec credentials --flag …"},
		{name: "command for credentials", args: []string{"credentials", "--", "true"}, want: "credentials runs no command\nbrs-exec -- COMMAND runs one with fresh credentials"},
		{name: "format of credentials", args: []string{"credentials", "--format", "toml"}, want: "--format \"toml\": no such format\none of process, env, ini"},
		{name: "status of a name", args: []string{"status", "me"}, want: "\"me\" is no process id\nbrs-exec status lists them"},
		{name: "status of two", args: []string{"status", "1", "2"}, want: "\"2\" is one process id too many\nbrs-exec status lists them"},
		{name: "status of a command", args: []string{"status", "--", "true"}, want: "status runs no command\nbrs-exec -- COMMAND runs one with fresh credentials"},
		{name: "no run directory", args: []string{"credentials", "--run-dir", dir}, want: "no credentials in " + dir + ": the brs-exec that kept them has ended; start the command under brs-exec again"},
		{name: "shell", args: []string{"completion", "tcsh"}, want: "completion is for one of bash, zsh, fish\nsource <(brs-exec completion bash)"},
		{name: "subcommand of help", args: []string{"help", "me"}, want: "no subcommand is named \"me\"\nbrs-exec help"},
		{name: "no file", args: []string{"--config", "/nowhere.yaml", "--", "true"}, want: "--config /nowhere.yaml: no such file or directory"},
		{name: "unknown key", args: []string{"--config", file("region: x\nprofil: y\n"), "--", "true"}, want: "DIR/726567696f6e3a20780a70726f66696c3a20790a.yaml:2: no setting is named \"profil\"\ndid you mean profile?"},
		{name: "two values", args: []string{"--config", file("profile: [a, b]\n"), "--", "true"}, want: "DIR/70726f66696c653a205b612c20625d0a.yaml:1: profile takes one value, not 2"},
		{name: "bad value in file", args: []string{"--config", file("stop-signal: NO\n"), "--", "true"}, want: "--stop-signal \"NO\": no such signal (--stop-signal is from DIR/73746f702d7369676e616c3a204e4f0a.yaml:1)\na name or number as kill takes it: TERM, INT, QUIT"},
		{name: "bad truth value", args: []string{"--config", file("quiet: maybe\n"), "--", "true"}, want: "DIR/71756965743a206d617962650a.yaml:1: quiet is true or false, not \"maybe\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("BRS_EXEC_MIN_TTL", test.env)
			stdout, stderr, code := runQuietly(test.args...)
			if code != exitFailed || stdout != "" {
				t.Errorf("exit code %d, standard output %q", code, stdout)
			}
			message, hint, _ := strings.Cut(strings.ReplaceAll(test.want, "DIR", dir), "\n")
			want := "brs-exec: error: " + message + "\n"
			if hint != "" {
				want += "brs-exec: hint: " + hint + "\n"
			}
			if diff := cmp.Diff(want, stderr); diff != "" {
				t.Errorf("standard error (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPrecedence holds flag > variable > file > default.
func TestPrecedence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("region: file\nprofile: file\nstop-signal: INT\ntag: [a=1, 'b=x, y']\npolicy-arn: arn:one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BRS_EXEC_CONFIG", path)
	t.Setenv("BRS_EXEC_REGION", "env")
	t.Setenv("BRS_EXEC_PROFILE", "env")
	t.Setenv("BRS_EXEC_ROLE_ARN", "arn:one, arn:two")
	t.Setenv("BRS_EXEC_TRANSITIVE_TAG", "a, b\nc")
	t.Setenv("BRS_EXEC_QUIET", "1")
	p := &program{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	got := map[string]string{}
	app := p.app()
	app.Action = func(c *cli.Context) error {
		if _, err := settle(c); err != nil {
			return err
		}
		for _, name := range []string{"region", "profile", "stop-signal", "stop-timeout"} {
			got[name] = c.String(name)
		}
		for _, name := range []string{"role-arn", "tag", "transitive-tag", "policy-arn"} {
			got[name] = strings.Join(c.StringSlice(name), "|")
		}
		got["quiet"] = fmt.Sprint(c.Bool("quiet"))
		return nil
	}
	if err := app.Run([]string{"brs-exec", "--region", "flag"}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"region": "flag", "profile": "env", "stop-signal": "INT", "stop-timeout": "10s", "quiet": "true",
		"role-arn": "arn:one|arn:two", "tag": "a=1|b=x, y", "transitive-tag": "a, b|c", "policy-arn": "arn:one",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

// TestReadme keeps the table of flags in step with the flags.
func TestReadme(t *testing.T) {
	const start, end = "<!-- flags: generated by go test . -update -->\n", "<!-- /flags -->"
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), start)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("README.md has no marks around its table of flags")
	}
	want := before + start + flagTable() + end + after
	if *update {
		if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("README.md (-want +got; -update writes it):\n%s", diff)
	}
}

func flagTable() string {
	var b strings.Builder
	about := ""
	for _, f := range slices.Concat(sourceFlags(), deliveryFlags(), refreshFlags(), childFlags(), outputFlags("warn")) {
		category := f.(cli.CategorizableFlag).GetCategory()
		if category != about {
			fmt.Fprintf(&b, "\n**%s**\n\n| flag | |\n|---|---|\n", category)
			about = category
		}
		doc := f.(cli.DocGenerationFlag)
		usage, value := doc.GetUsage(), ""
		if head, tail, ok := strings.Cut(usage, "`"); ok {
			name, rest, _ := strings.Cut(tail, "`")
			usage, value = head+name+rest, " "+name
		}
		if d := doc.GetDefaultText(); d != "" && doc.TakesValue() {
			usage += " (default: " + strings.Trim(d, `"`) + ")"
		}
		fmt.Fprintf(&b, "| `--%s%s` | %s |\n", f.Names()[0], value, strings.ReplaceAll(usage, "|", `\|`))
	}
	return b.String() + "\n"
}
