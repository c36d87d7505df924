package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/supervisor"
)

// understood is how the library understands words: the subcommand, the settings and what is
// left over, or the error. all gives it all flags and subcommands.
func understood(all bool, words []string) string {
	p := &program{stdout: io.Discard, stderr: io.Discard, typed: words, all: all}
	app, got := p.app(), "help"
	note := func(c *cli.Context) error {
		s, err := p.settings(c)
		got = fmt.Sprintf("%s %q, %d flags: %+v", c.Command.Name, c.Args().Slice(), c.NumFlags(), s)
		return err
	}
	app.Action = note
	for _, c := range app.Commands {
		c.Action = note
	}
	err := app.Run(append([]string{"brs-exec"}, words...))
	if errors.Is(err, errNotAll) {
		return understood(true, words)
	}
	if err != nil {
		return "error: " + err.Error()
	}
	return got
}

var commandLines = []string{
	"", "--quiet", "--profile prod --role-arn a --role-arn=b --region eu-west-1", "-profile prod -quiet=false --keep-imds=true",
	"--profile -x --quiet", "--profile --quiet", "--tag a=b --tag= --tag c=d --as-profile a,b", "--min-ttl 5m --min-ttl 6m",
	"--log-level --log-format=json", "--profile=status", "--profile status", "status --json", "status 12 --profile x", "--quiet status",
	"keep --run-dir /x --once --on-refresh signal:HUP", "credentials --profile=x --format env", "doctor --json --ask --profile x", "rehearse --life 2m --simulate",
	"demo --life 20s --be-the-command", "login --no-browser --profile x", "refresh --timeout 3s", "install DIR", "completion bash", "version", "version x",
	"--json", "--profil x", "keep --restart always", "--quiet=maybe", "---quiet", "- x", "-", "--=x", "-q", "job --profile x", "--profile x doctor --region y",
	"help", "help status", "--help", "-h status", "status -h", "--profile -h", "keep help", "--version", "--quiet x status", "doctor x keep", "--profile a --profile b", "keep -once=x",
}

// TestOnlyWhatIsTyped: the library understands the same when it knows only what may be typed.
func TestOnlyWhatIsTyped(t *testing.T) {
	withoutSettings(t)
	for _, line := range commandLines {
		if diff := gocmp.Diff(understood(true, strings.Fields(line)), understood(false, strings.Fields(line))); diff != "" {
			t.Errorf("brs-exec %s (-of all +of those typed):\n%s", line, diff)
		}
	}
}

func FuzzOnlyWhatIsTyped(f *testing.F) {
	for _, line := range commandLines {
		f.Add(strings.ReplaceAll(line, " ", "\n"))
	}
	f.Fuzz(func(t *testing.T, lines string) {
		words := strings.Split(lines, "\n")
		if strings.Contains(lines, "config") || slices.Contains(words, "--") {
			t.Skip("a file that is read, or a command")
		}
		if diff := gocmp.Diff(understood(true, words), understood(false, words)); diff != "" {
			t.Errorf("brs-exec %q (-of all +of those typed):\n%s", words, diff)
		}
	})
}

// TestSubcommands: each is known by the name that it is looked for by.
func TestSubcommands(t *testing.T) {
	all := subcommandNames((&program{all: true}).app())
	if len(all) != 12 {
		t.Errorf("there are %q", all)
	}
	for _, name := range all {
		if diff := gocmp.Diff([]string{name}, subcommandNames((&program{typed: []string{name}}).app())); diff != "" && name != "help" {
			t.Errorf("with %s typed (-want +got):\n%s", name, diff)
		}
	}
}

// BenchmarkStart is all from the command line to the start of a run.
func BenchmarkStart(b *testing.B) {
	for name, typed := range map[string][]string{
		"quiet": {"--quiet"},
		"role":  {"--profile", "prod", "--role-arn", "arn:aws:iam::123456789012:role/App", "--region", "eu-west-1"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p := &program{stdout: io.Discard, stderr: io.Discard, signals: &supervisor.Signals{}, typed: typed, argv: []string{"true"}, dashes: true}
				app := p.app()
				app.Action = func(c *cli.Context) error {
					_, err := p.options(c)
					return err
				}
				if err := app.Run(append([]string{"brs-exec"}, typed...)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
