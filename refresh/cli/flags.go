package cli

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/plan"
)

// ourFlag is a setting as the library has it, and keeps what was typed. The library's own
// kinds of flags make their names with a regular expression each time they are looked at,
// and have a value of their own whether they are typed or not.
type ourFlag struct {
	*plan.Flag
	names []string
	typed []string                // of a boolean: true or false
	parse func(text string) error // takes a value that is typed, nil: any; it is no boolean
}

func newFlag(f *plan.Flag, alias ...string) *ourFlag {
	return &ourFlag{Flag: f, names: append([]string{f.Name}, alias...)}
}

// Apply, Names, IsSet and String are of [cli.Flag], Set, IsBoolFlag and String of [flag.Value].
func (f *ourFlag) Apply(set *flag.FlagSet) error {
	f.typed = nil // that of help is in all apps
	for _, name := range f.names {
		set.Var(f, name, "")
	}
	return nil
}

func (f *ourFlag) Names() []string { return f.names }

func (f *ourFlag) IsSet() bool { return len(f.typed) > 0 }

func (f *ourFlag) IsBoolFlag() bool { return f.Boolean }

func (f *ourFlag) String() string { return strings.Join(f.typed, ",") }

func (f *ourFlag) Set(s string) error {
	switch {
	case f.Boolean:
		truth, err := strconv.ParseBool(s)
		if err != nil {
			return errors.New("parse error")
		}
		f.typed = []string{strconv.FormatBool(truth)}
	case f.Repeatable:
		f.typed = append(f.typed, strings.TrimSpace(s)) // as the library's own lists do
	default:
		f.typed = []string{s}
	}
	if f.parse != nil && f.parse(s) != nil {
		return errors.New("parse error")
	}
	return nil
}

// flags are those of a subcommand as the library has them: all, or those that may be among
// the words.
func (p *program) flags(of string) (list []cli.Flag) {
	typed := make([]string, len(p.typed))
	for i, word := range p.typed {
		typed[i] = flagName(word)
	}
	for _, f := range plan.Flags(of) {
		if p.all || slices.Contains(typed, f.Name) {
			list = append(list, newFlag(f))
		}
	}
	return list
}

// flagName is the name of a flag that is typed; "" if the word is none.
func flagName(word string) string {
	if !strings.HasPrefix(word, "-") {
		return ""
	}
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	return name
}

// settings reads the settings of c, wherever they come from.
func (p *program) settings(c *cli.Context) (*plan.Settings, error) {
	if err := p.lostFlags(c); err != nil {
		return nil, err
	}
	if err := noneTwice(c.Command.Flags, p.typed); err != nil {
		return nil, err
	}
	of := ""
	if len(c.Lineage()) > 2 {
		of = c.Command.Name
	}
	typed := map[string][]string{}
	for _, f := range c.Command.Flags {
		if f, ours := f.(*ourFlag); ours && f.IsSet() {
			typed[f.Name] = f.typed
		}
	}
	s, err := plan.Resolve(plan.Flags(of), typed, os.Environ())
	p.asJSON = p.asJSON || s.JSON()
	return s, err
}

// lostFlags refuses flags that stand before a subcommand. The hint has them where
// they belong, if that takes them.
func (p *program) lostFlags(c *cli.Context) error {
	parents := c.Lineage()
	if len(parents) < 2 || parents[1].Command == nil || parents[1].NumFlags() == 0 {
		return nil
	}
	wrong := &plan.Error{Text: fmt.Sprintf("flags stand before %q, where they would be lost", c.Command.Name), Hint: "leave them out: brs-exec help " + c.Command.Name}
	at := len(p.typed) - parents[1].NArg()
	flags := p.typed[:at]
	if !slices.ContainsFunc(typedFlags(parents[1].Command.Flags, flags), func(f typedFlag) bool { return flagNamed(c.Command.Flags, f.name) == nil }) {
		wrong.Hint = plan.ShellLine(slices.Concat([]string{"brs-exec", c.Command.Name}, flags, p.typed[at+1:]))
		if p.dashes {
			wrong.Hint += " -- " + plan.ShellLine(p.argv)
		}
	}
	return wrong
}

// noneTwice refuses two values for a flag that says whose the credentials are. Of
// other flags the last one counts, so that an alias may have its own.
func noneTwice(flags []cli.Flag, words []string) error {
	seen := map[string]string{}
	for _, f := range typedFlags(flags, words) {
		if one, ours := flagNamed(flags, f.name).(*ourFlag); !ours || !one.Once || one.Repeatable || one.Boolean {
			continue
		}
		if before, twice := seen[f.name]; twice && before != f.value {
			return &plan.Error{Flag: f.name, Text: fmt.Sprintf("is given twice: %q and %q", before, f.value), Hint: "keep the one that is meant"}
		}
		seen[f.name] = f.value
	}
	return nil
}

// typedFlag is a flag as it was typed.
type typedFlag struct {
	name, value string
	truth       bool // its value is one, or is left out
}

// typedFlags are the flags among words, in their order.
func typedFlags(flags []cli.Flag, words []string) (list []typedFlag) {
	for i := 0; i < len(words); i++ {
		if !strings.HasPrefix(words[i], "-") {
			continue
		}
		f := typedFlag{}
		with := false
		f.name, f.value, with = strings.Cut(strings.TrimLeft(words[i], "-"), "=")
		one, ours := flagNamed(flags, f.name).(*ourFlag)
		if f.truth = ours && one.Boolean; !f.truth && !with && i+1 < len(words) {
			i++
			f.value = words[i]
		}
		list = append(list, f)
	}
	return list
}

// keepTyped are the typed flags of a run that go with more of them: those that
// more has itself, and those that a run does not know, are left out.
func keepTyped(flags []cli.Flag, words []string, more string) (kept []string) {
	run := plan.Flags("")
	for _, f := range typedFlags(flags, words) {
		if !slices.ContainsFunc(run, func(r *plan.Flag) bool { return r.Name == f.name }) || slices.Contains(strings.Fields(more), "--"+f.name) {
			continue
		}
		switch {
		case !f.truth:
			kept = append(kept, "--"+f.name, f.value)
		case f.value != "":
			kept = append(kept, "--"+f.name+"="+f.value)
		default:
			kept = append(kept, "--"+f.name)
		}
	}
	return kept
}

func flagNamed(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

// errNotAll is in place of an error for which the library has to know all flags and subcommands.
var errNotAll = errors.New("the command line has a mistake")

// usageError turns an error of the parser into one of ours.
func (p *program) usageError(c *cli.Context, err error, _ bool) error {
	if !p.all {
		return errNotAll
	}
	help := "brs-exec help flags"
	if flagNamed(c.Command.Flags, "help") != nil && len(c.Lineage()) > 2 {
		help = "brs-exec help " + c.Command.Name
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		name = strings.TrimLeft(name, "-")
		var known []string
		for _, f := range c.Command.Flags {
			known = append(known, f.Names()...)
		}
		return &plan.Error{Text: "no flag is named --" + name, Hint: cmp.Or(plan.Nearest("--", name, known), help+" lists them")}
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag needs an argument: -"); ok {
		return &plan.Error{Text: "--" + strings.TrimLeft(name, "-") + " needs a value"}
	}
	if rest, ok := strings.CutPrefix(err.Error(), "invalid boolean value "); ok {
		value, name, _ := strings.Cut(strings.TrimSuffix(rest, ": parse error"), " for -")
		return &plan.Error{Flag: strings.TrimLeft(name, "-"), Text: "takes no value, or true or false, not " + value}
	}
	return &plan.Error{Text: err.Error(), Hint: help}
}
