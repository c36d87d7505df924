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

// understood is how words are understood: the subcommand, the settings and what is left over,
// the help that is printed, or the error. all has all flags and subcommands looked at.
func understood(all bool, words []string) string {
	p, app, got := noted(all, words)
	err := p.dispatch(app, words)
	if errors.Is(err, errNotAll) {
		return understood(true, words)
	}
	return got(err)
}

// byLibrary is how the library understands words.
func byLibrary(words []string) string {
	p, app, got := noted(true, words)
	app.HideVersion, app.HideHelpCommand, app.DisableSliceFlagSeparator = true, true, true
	app.Writer, app.ErrWriter = p.stdout, p.stderr
	app.ExitErrHandler = func(*cli.Context, error) {}
	for _, c := range app.Commands {
		c.HideHelpCommand = true
	}
	return got(app.Run(append([]string{"brs-exec"}, words...)))
}

func init() {
	cli.HelpFlag = helpFlag
	cli.HelpPrinter = func(w io.Writer, _ string, of any) {
		switch of := of.(type) {
		case *cli.App:
			io.WriteString(w, shortHelp(of, helpWidth(w)))
		case *cli.Command:
			io.WriteString(w, commandHelp(of, helpWidth(w)))
		}
	}
}

// noted is an app that only notes what it is to do.
func noted(all bool, words []string) (p *program, app *cli.App, got func(error) string) {
	out := &strings.Builder{}
	p = &program{stdout: out, stderr: io.Discard, typed: words, all: all}
	note := func(c *cli.Context) error {
		s, err := p.settings(c)
		fmt.Fprintf(out, "%s %q, flags: %v: %+v", c.Command.Name, c.Args().Slice(), c.NumFlags() > 0, s)
		return err
	}
	app = p.app()
	app.Action = note
	for _, c := range app.Commands {
		c.Action = note
	}
	return p, app, func(err error) string {
		if err != nil {
			return "error: " + err.Error()
		}
		return out.String()
	}
}

var commandLines = []string{
	"", "--quiet", "--profile prod --role-arn a --role-arn=b --region eu-west-1", "-profile prod -quiet=false --keep-imds=true",
	"--profile -x --quiet", "--profile --quiet", "--tag a=b --tag= --tag c=d --as-profile a,b", "--min-ttl 5m --min-ttl 6m",
	"--log-level --log-format=json", "--profile=status", "--profile status", "status --json", "status 12 --profile x", "--quiet status",
	"keep --run-dir /x --once --on-refresh signal:HUP", "credentials --profile=x --format env", "doctor --json --ask --profile x", "rehearse --life 2m --simulate",
	"demo --life 20s --be-the-command", "login --no-browser --profile x", "refresh --timeout 3s", "install DIR", "completion bash", "version", "version x",
	"--json", "--profil x", "keep --restart always", "--quiet=maybe", "---quiet", "- x", "-", "--=x", "-q", "job --profile x", "--profile x doctor --region y",
	"help", "help status", "--help", "-h status", "--quiet --help", "--help=false --quiet", "--profile x -h keep", "-h nothing", "keep -h status", "keep --help nothing", "help -h", "help --help", "status -h", "--profile -h", "keep help", "--version", "--quiet x status", "doctor x keep", "--profile a --profile b", "keep -once=x",
}

// sameUnderstood fails unless words are understood as the library does, and also when it
// is only looked at what may be typed.
func sameUnderstood(t *testing.T, words []string) {
	t.Helper()
	want := understood(true, words)
	if diff := gocmp.Diff(want, understood(false, words)); diff != "" {
		t.Errorf("brs-exec %q (-of all +of those typed):\n%s", words, diff)
	}
	library := byLibrary(words)
	if strings.HasPrefix(library, "error: Cannot use two forms of the same flag") {
		return // -h --help
	}
	if diff := gocmp.Diff(library, want); diff != "" {
		t.Errorf("brs-exec %q (-the library +dispatch):\n%s", words, diff)
	}
}

func TestDispatch(t *testing.T) {
	withoutSettings(t)
	for _, line := range commandLines {
		sameUnderstood(t, strings.Fields(line))
	}
	sameUnderstood(t, []string{""})
	sameUnderstood(t, []string{"--profile", "", "", "--help"})
}

func FuzzDispatch(f *testing.F) {
	for _, line := range commandLines {
		f.Add(strings.ReplaceAll(line, " ", "\n"))
	}
	f.Fuzz(func(t *testing.T, lines string) {
		words := strings.Split(lines, "\n")
		if strings.Contains(lines, "config") || slices.Contains(words, "--") {
			t.Skip("a file that is read, or a command")
		}
		sameUnderstood(t, words)
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
				if err := p.dispatch(app, typed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
