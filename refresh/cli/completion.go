package cli

import (
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
)

// The scripts ask brs-exec itself what may stand where the cursor is, so that it is known
// once for all shells. Behind "--" they complete whatever the shell completes for the
// command that stands there.
//
//go:embed all:completion
var scripts embed.FS

// scriptOf is the file with the script of a shell, by the name that the shell wants.
var scriptOf = map[string]string{"bash": "brs-exec.bash", "zsh": "_brs-exec", "fish": "brs-exec.fish"}

var shells = []string{"bash", "zsh", "fish"}

// completeWord is the subcommand by which the scripts ask. It is not among the others,
// because its arguments are a command line that has not been finished.
const completeWord = "__complete"

func (p *program) completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion script of a shell: " + strings.Join(shells, ", "),
		ArgsUsage: "SHELL",
		Description: "For a file that bash, zsh or fish reads at its start:\n  source <(brs-exec completion bash)\n  source <(brs-exec completion zsh)\n  brs-exec completion fish | source\n" +
			"Or put it into a file where the shell looks: brs-exec in bash-completion's directory, _brs-exec in $fpath of zsh,\nbrs-exec.fish in ~/.config/fish/completions.",
		OnUsageError: p.usageError,
		Action: func(c *cli.Context) error {
			name, ok := scriptOf[c.Args().First()]
			if !ok || c.NArg() != 1 {
				return &plan.Error{Text: "completion is for one of " + strings.Join(shells, ", "), Hint: "source <(brs-exec completion bash)"}
			}
			script, err := scripts.ReadFile("completion/" + name)
			if err == nil {
				_, err = p.stdout.Write(script)
			}
			return err
		},
	}
}

// What a shell is to complete itself.
const (
	someWords    = "words" // those that follow, each with what it is about behind a tab
	someFiles    = "files"
	someDirs     = "dirs"
	someCommands = "commands"
)

const (
	// runsTime is how long a person who has typed Tab is kept waiting for runs to answer.
	runsTime = 500 * time.Millisecond
	// completeTime is how long for all: a file may be a pipe, or on a server that hangs.
	completeTime = 2 * time.Second
)

// offer is what can stand at the end of a command line.
type offer struct {
	what  string
	words [][2]string // with what they are about; one that ends in : or = goes on without a blank
}

func (o *offer) add(word, about string) {
	if word == "" || strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return // no name that a person can type
	}
	o.words = append(o.words, [2]string{word, strings.Join(strings.Fields(about), " ")})
}

// printCompletions answers a script: words are those behind the program's name, of which
// the last one, perhaps empty, is the one to complete.
func (p *program) printCompletions(words []string) {
	if len(words) == 0 {
		words = []string{""}
	}
	p.all = true
	found := make(chan offer, 1)
	go func() {
		o := offer{what: someWords}
		o.complete(p.app(), words[:len(words)-1], words[len(words)-1])
		found <- o
	}()
	o := offer{what: someWords}
	select {
	case o = <-found:
	case <-time.After(completeTime):
	}
	out := printable{p.stdout}
	fmt.Fprintln(out, o.what)
	for _, w := range o.words {
		fmt.Fprintf(out, "%s\t%s\n", w[0], w[1])
	}
}

func (o *offer) complete(app *cli.App, before []string, word string) {
	flags, usage := plan.Flags(""), app.UsageText
	var command *cli.Command
	var given []string // flags
	others := 0
	var open *plan.Flag // it is to have its value in the next word
	named := func(name string) *plan.Flag {
		if i := slices.IndexFunc(flags, func(f *plan.Flag) bool { return f.Name == name }); i >= 0 {
			return flags[i]
		}
		return nil
	}
	for i, w := range before {
		name, _, with := strings.Cut(strings.TrimLeft(w, "-"), "=")
		switch {
		case open != nil:
			open = nil
		case w == "--":
			return
		case strings.HasPrefix(w, "-"):
			given = append(given, name)
			if f := named(name); f != nil && !f.Boolean && !with {
				open = f
			}
		case i == 0 && app.Command(w) != nil:
			command = app.Command(w)
			flags, usage = flagsOf(command), usageOf(command)
		default:
			others++
		}
	}
	name, _, with := strings.Cut(strings.TrimLeft(word, "-"), "=")
	switch f := named(name); {
	case open != nil:
		o.values(open, "")
	case strings.HasPrefix(word, "-") && with:
		if f != nil {
			o.values(f, word[:strings.Index(word, "=")+1])
		}
	case strings.HasPrefix(word, "-"):
		for _, f := range flags {
			if !f.Hidden && (f.Repeatable || !slices.Contains(given, f.Name)) {
				o.add("--"+f.Name, plan.Gist(f.Text()))
			}
		}
		o.add("--help", "print help")
		o.dashes(usage)
	case others > 0:
	case command == nil:
		if len(before) == 0 {
			o.subcommands(app)
		}
		o.dashes(usage)
	default:
		o.arguments(app, usage)
	}
}

func (o *offer) dashes(usage string) {
	if strings.Contains(usage, "-- COMMAND") {
		o.add("--", "the command follows")
	}
}

func (o *offer) subcommands(app *cli.App) {
	for _, c := range app.VisibleCommands() {
		o.add(c.Name, plan.Gist(c.Usage))
	}
}

// arguments are what its usage says that a subcommand takes.
func (o *offer) arguments(app *cli.App, usage string) {
	o.dashes(usage)
	switch {
	case strings.HasSuffix(usage, " DIR"):
		o.what = someDirs
	case strings.HasSuffix(usage, " SHELL"):
		for _, shell := range shells {
			o.add(shell, "")
		}
	case strings.Contains(usage, "[SUBCOMMAND"):
		o.subcommands(app)
		o.add("flags", "all flags of a run")
		o.add("man", "the manual page, in roff")
	case strings.HasSuffix(usage, "[PID|NAME]"):
		for _, s := range seenRuns("", runsTime) {
			o.add(s.record.Name, "process "+strconv.Itoa(s.PID))
			o.add(strconv.Itoa(s.PID), s.record.Name)
		}
	}
}

// profileFlags are those whose value is a profile of the AWS configuration.
var profileFlags = []string{"profile", "from-profile", "credentials-file-profile"}

// values are those of a flag, each behind lead.
func (o *offer) values(f *plan.Flag, lead string) {
	add := func(words ...string) {
		for _, w := range words {
			o.add(lead+w, "")
		}
	}
	for _, v := range f.Values {
		switch before, kind, of := strings.Cut(v, ":"); {
		case of && strings.HasPrefix(kind, "SIG"):
			for _, sig := range plan.Signals {
				add(before + ":" + sig + strings.TrimPrefix(kind, "SIG"))
			}
		case of:
			add(before + ":")
		case v != strings.ToUpper(v):
			add(v)
		}
	}
	switch {
	case f.Boolean:
		add("true", "false")
	case slices.Contains(profileFlags, f.Name):
		add(source.ProfileNames()...)
	case f.Value == "SIGNAL":
		add(plan.Signals...)
	case f.Value == "FILE", f.Value == "PATH":
		o.what = someFiles
	case f.Value == "DIR":
		o.what = someDirs
	case f.Value == "COMMAND":
		o.what = someCommands
	}
}
