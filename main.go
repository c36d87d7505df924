// Brs-exec runs a command and keeps its AWS credentials fresh for as long as
// it lives:
//
//	brs-exec [FLAGS] -- COMMAND [ARG...]
//
// The credentials come from any source of the AWS SDK, a role assumed on top
// of it, or a program. The command finds them in every place that AWS clients
// look again when theirs end; otherwise it runs as it would without brs-exec.
//
// Exit codes: the command's own; 128+n if it died of signal n; 124 if it was
// stopped because its credentials ended (--on-expiry=stop); 75 if another run
// holds the --lock; 125 if brs-exec
// itself failed; 126 and 127 if COMMAND cannot be run or is not found.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
	"brs-exec/supervisor"

	_ "brs-exec/writer/process/early" // credentials --run-dir
)

const (
	exitLocked  = 75 // EX_TEMPFAIL of sysexits(3)
	exitExpired = 124
	exitFailed  = 125
)

func main() {
	log := supervisor.NewLogFile(os.Stderr)
	p := &program{stdout: os.Stdout, stderr: log, flush: func() { log.Flush(flushTime) }}
	args := os.Args[1:]
	if slices.Contains(args, "--") {
		p.signals = supervisor.Hold()
	}
	code := p.run(args)
	p.flush()
	os.Exit(code)
}

// flushTime is how long the last words may take to a terminal that is stopped.
const flushTime = time.Second

// program is one run of brs-exec.
type program struct {
	signals *supervisor.Signals // held since the start if there is a command to run
	stdout  io.Writer
	stderr  io.Writer
	flush   func()   // waits until all is said
	lock    *os.File // of --lock, held until the end
	argv    []string // what stands behind the first "--"
	dashes  bool     // there was one
	code    int
}

func (p *program) run(args []string) int {
	before := args
	if i := slices.Index(args, "--"); i >= 0 {
		before, p.argv, p.dashes = args[:i], args[i+1:], true
	}
	app := p.app()
	if err := app.Run(append([]string{"brs-exec"}, before...)); err != nil {
		p.complain(err)
		if errors.Is(err, supervisor.ErrLocked) {
			return exitLocked
		}
		return exitFailed
	}
	return p.code
}

func (p *program) app() *cli.App {
	return &cli.App{
		Name:                      "brs-exec",
		Usage:                     "run a command and keep its AWS credentials fresh",
		UsageText:                 "brs-exec [FLAGS] -- COMMAND [ARG...]\nbrs-exec SUBCOMMAND [FLAGS] [-- COMMAND [ARG...]]",
		Description:               "Each flag has a variable BRS_EXEC_<FLAG> and a key in the file of --config; a flag wins over\nthe variable, the variable over the file.",
		Version:                   version(),
		HideVersion:               true,
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true,
		Writer:                    p.stdout,
		ErrWriter:                 p.stderr,
		Flags:                     slices.Concat(sourceFlags(), deliveryFlags(), refreshFlags(), childFlags(), outputFlags("warn"), []cli.Flag{cli.HelpFlag}),
		Commands: []*cli.Command{
			p.credentialsCommand(), p.loginCommand(), p.statusCommand(), p.doctorCommand(), p.demoCommand(), p.completionCommand(),
			{Name: "version", Usage: "print the version", OnUsageError: usageError, HideHelpCommand: true, Action: func(*cli.Context) error {
				_, err := fmt.Fprintln(p.stdout, "brs-exec", version())
				return err
			}},
			{Name: "help", Usage: "print this text, or that of a subcommand", ArgsUsage: "[SUBCOMMAND]", HideHelp: true, OnUsageError: usageError, Action: p.help},
		},
		OnUsageError:   usageError,
		ExitErrHandler: func(*cli.Context, error) {}, // run returns the code; nothing exits underneath it
		Action:         p.exec,
	}
}

func (p *program) help(c *cli.Context) error {
	app := c.Lineage()[1]
	if name := c.Args().First(); name != "" {
		if app.App.Command(name) == nil {
			return &plan.Error{Text: fmt.Sprintf("no subcommand is named %q", name), Hint: "brs-exec help"}
		}
		return cli.ShowCommandHelp(app, name)
	}
	return cli.ShowAppHelp(app)
}

// exec is what brs-exec does without a subcommand.
func (p *program) exec(c *cli.Context) error {
	if c.Args().Present() {
		return stray(c.Args().Slice(), p.argv, "brs-exec -- ")
	}
	if len(p.argv) == 0 {
		return &plan.Error{Text: "no command to run", Hint: "brs-exec [FLAGS] -- COMMAND [ARG...], or brs-exec --help"}
	}
	s, err := p.session(c)
	if err != nil {
		return err
	}
	p.code, err = s.run()
	return err
}

// stray is about words that stand where a flag or a "--" should.
func stray(words, rest []string, before string) error {
	if len(rest) > 0 {
		words = append(append(words, "--"), rest...)
	}
	return &plan.Error{
		Text: fmt.Sprintf("%q is neither a flag nor a subcommand", words[0]),
		Hint: "to run it as a command put -- in front: " + before + strings.Join(words, " "),
	}
}

// complain prints an error and what to do about it, a line each.
func (p *program) complain(err error) {
	var wrong *plan.Error
	var source *refresh.Error
	hint := ""
	switch {
	case errors.As(err, &wrong):
		hint = wrong.Hint
	case errors.As(err, &source):
		hint = source.Hint
	}
	fmt.Fprintf(p.stderr, "brs-exec: error: %s\n", oneLine(err.Error()))
	if hint != "" {
		fmt.Fprintf(p.stderr, "brs-exec: hint: %s\n", oneLine(hint))
	}
}

// oneLine keeps a message on its line, whatever a server or program put into it.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}

// version is what was built: the module's version, or the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value
		}
	}
	if v == "" {
		return "(devel)"
	}
	return v
}
