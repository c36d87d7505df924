// Package cli is the command line of brs-exec: its words, subcommands and exit
// codes. It is the only package besides main that prints and exits.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor"
	"brs-exec.example/brs-exec/supervisor/logfile"
	"brs-exec.example/brs-exec/writer/filelock"
)

const (
	exitLocked  = 75 // EX_TEMPFAIL of sysexits(3)
	exitExpired = 124
	exitFailed  = 125
)

// Run does what args, the command line behind the program's name, ask for. It
// returns the exit code.
func Run(args []string) int {
	log := logfile.New(os.Stderr)
	p := &program{stdout: os.Stdout, stderr: log, flush: func() { log.Flush(flushTime) }, journal: logfile.ToJournal(os.Stderr)}
	p.signals = supervisor.Hold(func(e supervisor.Exit) {
		p.flush()
		e.Raise()
		os.Exit(e.Code)
	})
	code := p.run(args)
	p.flush()
	return code
}

// flushTime is how long the last words may take to a terminal that is stopped.
const flushTime = time.Second

// program is one run of brs-exec.
type program struct {
	signals *supervisor.Signals // held since the start
	stdout  io.Writer
	stderr  io.Writer // what is not printable is escaped
	raw     io.Writer // standard error for other programs: a helper may paint its prompts
	flush   func()    // waits until all is said
	lock    io.Closer // of --lock, held until the end
	typed   []string  // what stands before the first "--"
	argv    []string  // what stands behind it
	dashes  bool      // there was one
	all     bool      // the app has all flags and subcommands, not only those that are typed
	asJSON  bool      // --log-format json, which errors follow
	journal bool      // standard error is systemd's journal
	code    int
}

func (p *program) run(args []string) int {
	p.raw, p.stderr = p.stderr, printable{p.stderr}
	if len(args) > 0 && args[0] == completeWord {
		p.printCompletions(args[1:])
		return 0
	}
	p.typed = args
	if i := slices.Index(args, "--"); i >= 0 {
		p.typed, p.argv, p.dashes = args[:i], args[i+1:], true
	}
	switch strings.Join(p.typed, " ") {
	case "--version", "-version", "-V", "-v":
		fmt.Fprintln(p.stdout, "brs-exec", version())
		return 0
	}
	if len(p.typed) > 0 && (p.typed[0] == "status" || p.typed[0] == "refresh") {
		p.typed = flagsFirst(p.typed, "profile", "timeout")
	}
	if len(p.typed) > 1 && slices.Contains([]string{"-h", "--help"}, p.typed[0]) && !strings.HasPrefix(p.typed[1], "-") {
		p.typed = append([]string{"help"}, p.typed[1:]...) // the library knows none of our topics
	}
	p.asJSON = plan.WantsJSON(p.typed, os.Environ())
	err := p.dispatch(p.app(), p.typed)
	if errors.Is(err, errNotAll) {
		p.all = true
		err = p.dispatch(p.app(), p.typed)
	}
	if err != nil {
		code := exitFailed
		if errors.Is(err, filelock.ErrLocked) {
			code = exitLocked
		}
		p.printError(err, code)
		return code
	}
	return p.code
}

// app is what the library is to know: unless p.all, only the flags and subcommands that may be
// among the words. A run has more than a hundred flags, most starts have a few of them, and
// what the library does with each takes longer than all else before the start of a run.
func (p *program) app() *cli.App {
	if slices.ContainsFunc(p.typed, func(word string) bool { return word == "help" || slices.Contains(helpFlag.names, flagName(word)) }) {
		p.all = true
	}
	app := &cli.App{
		Name:         "brs-exec",
		Usage:        "run a command and keep its AWS credentials fresh",
		UsageText:    "brs-exec [FLAGS] -- COMMAND [ARG...]\nbrs-exec SUBCOMMAND [FLAGS] [-- COMMAND [ARG...]]",
		Flags:        append(p.flags(""), helpFlag),
		OnUsageError: p.usageError,
		Action:       p.exec,
	}
	for _, c := range [...]struct {
		name    string
		command func(*program) *cli.Command
	}{
		{"credentials", (*program).credentialsCommand},
		{"keep", (*program).keepCommand},
		{"login", (*program).loginCommand},
		{"status", (*program).statusCommand},
		{"refresh", (*program).refreshCommand},
		{"doctor", (*program).doctorCommand},
		{"rehearse", (*program).rehearseCommand},
		{"demo", (*program).demoCommand},
		{"install", (*program).installCommand},
		{"completion", (*program).completionCommand},
		{"version", (*program).versionCommand},
		{"help", (*program).helpCommand},
	} {
		if p.all || slices.Contains(p.typed, c.name) {
			app.Commands = append(app.Commands, c.command(p))
		}
	}
	return app
}

// unexpectedArgs is about words that stand where a flag or a "--" should. What was typed is
// kept in the hint, because a run without its --role-arn is another user's. It
// holds no secret: the flags take the names of files and programs in place of
// these, and anyone on the machine can read a command line.
func (p *program) unexpectedArgs(c *cli.Context) error {
	if !p.all {
		return errNotAll
	}
	words := c.Args().Slice()
	first := words[0]
	typed := func(more ...string) string {
		return plan.ShellLine(slices.Concat([]string{"brs-exec"}, p.typed[:len(p.typed)-len(words)], more))
	}
	rest := func(words []string) []string {
		if p.dashes && len(p.argv) > 0 {
			return slices.Concat(words, []string{"--"}, p.argv)
		}
		return words
	}
	withProfile := func(name string, command ...string) string {
		if command = slices.Concat(command, p.argv); len(command) == 0 {
			command = []string{"COMMAND"}
		}
		return typed(slices.Concat([]string{"--profile", name, "--"}, command)...)
	}
	wrong := &plan.Error{
		Text: fmt.Sprintf("%q is neither a flag nor a subcommand", first),
		Hint: "to run it as a command put -- in front: " + typed(append([]string{"--"}, rest(words)...)...),
	}
	command := words
	if first == "exec" { // as aws-vault has it
		wrong.Text = "there is no subcommand exec"
		wrong.Hint = withProfile("NAME")
		command = words[1:]
	}
	switch near := plan.Nearest("brs-exec ", first, subcommands(c)); {
	case first != plainDashes(first):
		wrong.Text = fmt.Sprintf("%q begins with a long dash, as word processors make it", first)
		for i, word := range words {
			if words[i] = plainDashes(word); words[i] == "--" {
				break
			}
		}
		wrong.Hint = "type two hyphens: " + typed(rest(words)...)
	case len(command) > 0 && (first == "exec" || p.dashes && len(command) == 1) && source.HasProfile(command[0]):
		wrong.Hint = withProfile(command[0], command[1:]...)
	case near != "" && !p.dashes:
		wrong.Hint = near
	}
	return wrong
}

func subcommands(c *cli.Context) []string {
	if len(c.Lineage()) > 2 {
		return nil // it is one already
	}
	return subcommandNames(c.App)
}

// plainDashes puts two hyphens in place of a long dash in front of a word.
func plainDashes(word string) string {
	if rest := strings.TrimLeft(word, "‐‑‒–—―−"); rest != word {
		return "--" + rest
	}
	return word
}

// printError prints an error and what to do about it, a line each, or one line of
// JSON. code is what brs-exec will exit with.
func (p *program) printError(err error, code int) {
	hint := refresh.HintOf(err)
	if wrong := (*plan.Error)(nil); errors.As(err, &wrong) {
		hint = wrong.Hint
	}
	if p.asJSON {
		attrs := []slog.Attr{slog.Int("exit-code", code)}
		if hint != "" {
			attrs = append(attrs, slog.String("hint", plan.OneLine(hint)))
		}
		log := slog.New(slog.NewJSONHandler(prefixed{p.stderr, p.priority(journalError)}, &slog.HandlerOptions{ReplaceAttr: shorten}))
		log.LogAttrs(context.Background(), slog.LevelError, plan.OneLine(err.Error()), attrs...)
		return
	}
	fmt.Fprintf(p.stderr, "%sbrs-exec: error: %s\n", p.priority(journalError), plan.OneLine(err.Error()))
	if hint != "" {
		fmt.Fprintf(p.stderr, "%sbrs-exec: hint: %s\n", p.priority(journalError), plan.OneLine(hint))
	}
}

// priority is what a line to standard error begins with.
func (p *program) priority(journal string) string {
	if p.journal {
		return journal
	}
	return ""
}

// printable writes to what may be a terminal. It is the one place that all our
// own text goes through, so that nothing in it (a name in a configuration, an
// answer of a server, a file's name) moves the cursor, names the window, fills the
// clipboard or turns the direction of writing: what is no character to look at is
// written as in JSON, which both readers understand. A rune is never split
// between two writes here.
type printable struct{ io.Writer }

func (w printable) Write(text []byte) (int, error) {
	if _, err := w.Writer.Write(escape(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

func escape(text []byte) []byte {
	var out []byte
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size <= 1:
			out = fmt.Appendf(out, `\x%02x`, text[i]) // JSON has none of these
		case r == '\n' || r == '\t' || unicode.IsGraphic(r):
			out = append(out, text[i:i+size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += size
	}
	return out
}
