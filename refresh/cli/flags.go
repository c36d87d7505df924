package cli

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/plan"
)

// The three kinds of flags keep their names ready. The library asks each flag for them
// whenever it looks for one, and searches them with a regular expression each time: for
// as many flags as these a fifth of the time that a start takes.
type (
	textFlag struct {
		*cli.StringFlag
		names []string
		once  bool
	}
	listFlag struct {
		*cli.StringSliceFlag
		names []string
	}
	truthFlag struct {
		*cli.BoolFlag
		names []string
	}
)

func (f *textFlag) Names() []string  { return f.names }
func (f *listFlag) Names() []string  { return f.names }
func (f *truthFlag) Names() []string { return f.names }

// flags are those of a subcommand as the library has them.
func flags(of string) []cli.Flag {
	var list []cli.Flag
	for _, f := range plan.Flags(of) {
		names := []string{f.Name}
		switch {
		case f.Boolean:
			list = append(list, &truthFlag{&cli.BoolFlag{Name: f.Name, Hidden: f.Hidden}, names})
		case f.Repeatable:
			list = append(list, &listFlag{&cli.StringSliceFlag{Name: f.Name}, names})
		default:
			list = append(list, &textFlag{&cli.StringFlag{Name: f.Name, Value: f.Default}, names, f.Once})
		}
	}
	return list
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
	ours := plan.Flags(of)
	typed := map[string][]string{}
	for _, name := range c.LocalFlagNames() {
		switch i := slices.IndexFunc(ours, func(f *plan.Flag) bool { return f.Name == name }); {
		case i < 0:
		case ours[i].Boolean:
			typed[name] = []string{strconv.FormatBool(c.Bool(name))}
		case ours[i].Repeatable:
			typed[name] = c.StringSlice(name)
		default:
			typed[name] = []string{c.String(name)}
		}
	}
	s, err := plan.Resolve(ours, typed, os.Environ())
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
		if one, ok := flagNamed(flags, f.name).(*textFlag); !ok || !one.once {
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
		if _, f.truth = flagNamed(flags, f.name).(*truthFlag); !f.truth && !with && i+1 < len(words) {
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

// usageError turns an error of the parser into one of ours.
func usageError(c *cli.Context, err error, _ bool) error {
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
