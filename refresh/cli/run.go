package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/run"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor"
	"brs-exec.example/brs-exec/supervisor/runlock"
)

// exec is what brs-exec does without a subcommand.
func (p *program) exec(c *cli.Context) error {
	if c.Args().Present() {
		return p.unexpectedArgs(c)
	}
	if len(p.argv) == 0 {
		return &plan.Error{Text: "no command to run", Hint: "brs-exec [FLAGS] -- COMMAND [ARG...], or brs-exec --help"}
	}
	o, err := p.options(c)
	if err != nil {
		return err
	}
	exit, err := run.Run(o)
	return p.passOn(exit, err)
}

// passOn makes our exit code of how a run has ended. If the command died of a
// signal, so do we.
func (p *program) passOn(exit supervisor.Exit, err error) error {
	p.code = exit.Code
	switch {
	case errors.Is(err, run.ErrExpired):
		p.code = exitExpired
		return nil
	case err != nil && exit.Code > exitFailed: // the command cannot be run, or is not there
		p.printError(notRun(p.argv, err), exit.Code)
		return nil
	case err == nil:
		p.flush()
		exit.Raise()
	}
	return err
}

// options reads the settings of c, whatever they come from.
func (p *program) options(c *cli.Context) (o run.Options, err error) {
	settings, err := p.settings(c)
	if err != nil {
		return o, err
	}
	return p.optionsOf(settings)
}

// optionsOf is what a run of these settings is made of.
func (p *program) optionsOf(settings *plan.Settings) (o run.Options, err error) {
	out, err := settings.Output()
	if err != nil {
		return o, err
	}
	pl, err := p.plan(settings, p.argv)
	if err != nil {
		return o, err
	}
	if err := settings.FindHooks(pl); err != nil {
		return o, err
	}
	p.signals.HoldPipe()
	if pl.Subreaper {
		if err := p.signals.Subreap(); err != nil {
			return o, err
		}
	}
	if pl.Lock != "" {
		if p.lock, err = runlock.Take(pl.Lock); err != nil {
			return o, err
		}
	}
	o = run.Options{Plan: pl, Log: p.logger(out), Signals: p.signals, Version: version}
	if !out.Quiet && !out.JSON && isTerminal(os.Stderr) {
		o.Waiting = p.waiting
	}
	return o, nil
}

// isTerminal reports whether f is our terminal.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 || !hasTerminal() {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err == nil && !os.SameFile(info, null)
}

// waiting tells a person what takes so long.
func (p *program) waiting(source string) {
	p.printf("waiting for credentials from %s (Ctrl-C ends)", source)
}

// plan is what the settings ask for, with what is known of this process. argv is the
// command.
func (p *program) plan(settings *plan.Settings, argv []string) (*plan.Plan, error) {
	if err := p.readList(settings); err != nil {
		return nil, err
	}
	pl, err := plan.New(settings, argv)
	if err != nil {
		return nil, err
	}
	pl.With(sessionNames(argv), p.raw, prompt())
	return pl, nil
}

// readList reads what a list of profiles is made from. Its commands end with us.
func (p *program) readList(settings *plan.Settings) error {
	read := func(ctx context.Context) error { return settings.ReadList(ctx, p.raw) }
	if p.signals == nil {
		return read(context.Background())
	}
	return p.signals.BeforeRun(context.Background(), read)
}

// sessionNames are what a session name template can say about this run.
func sessionNames(argv []string) source.Names {
	n := source.Names{Command: "brs-exec", PID: os.Getpid(), User: os.Getenv("USER")}
	if len(argv) > 0 {
		n.Command = filepath.Base(argv[0])
	}
	return n
}

// notRun adds to the reason why a command cannot be run what was probably meant.
func notRun(argv []string, err error) error {
	word, hint := argv[0], ""
	name, _, assigns := strings.Cut(word, "=")
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = "make it executable (chmod +x), or put its interpreter in front"
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, exec.ErrNotFound):
	case strings.HasPrefix(word, "-"):
		hint = "flags of brs-exec stand before the --, the command behind it"
	case assigns && !strings.ContainsAny(name, "/ "):
		hint = "for a variable: brs-exec … -- " + plan.ShellLine(append([]string{"env"}, argv...))
	case strings.ContainsAny(word, " \t"):
		hint = "that is one word with blanks in it: leave the quotes off, or " + plan.ShellLine([]string{"sh", "-c", word})
	case slices.Contains([]string{"cd", "source", ".", "export", "alias", "eval", "ulimit", "umask", "set", "unset", "exec", "trap", "if", "for", "while", "case"}, word):
		hint = word + " is of the shell: sh -c '" + word + " …'"
	}
	if hint == "" {
		return err
	}
	return &plan.Error{Text: err.Error(), Hint: hint}
}
