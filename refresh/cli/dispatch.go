package cli

import (
	"flag"
	"io"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/plan"
)

// dispatch parses the words with the flags of app, and does what they ask for: help, or the
// action of a subcommand or of app itself.
//
// It stands in for the library's App.Run. That can print help by templates, which call methods
// by their names, so the linker would leave no exported method of any type out of the program,
// which would be a sixth larger and slower to start.
func (p *program) dispatch(app *cli.App, words []string) error {
	root := &cli.Command{Name: app.Name, Flags: app.Flags, Subcommands: app.Commands, OnUsageError: app.OnUsageError, Action: app.Action}
	return p.dispatchTo(root, app, &cli.Context{}, words)
}

func (p *program) dispatchTo(command *cli.Command, app *cli.App, parent *cli.Context, words []string) error {
	if !command.HideHelp && flagNamed(command.Flags, "help") == nil {
		command.Flags = append(command.Flags, helpFlag)
	}
	set := flag.NewFlagSet(command.Name, flag.ContinueOnError)
	set.SetOutput(io.Discard) // errors are returned
	for _, f := range command.Flags {
		if err := f.Apply(set); err != nil {
			return err
		}
	}
	c := cli.NewContext(app, set, parent)
	c.Command = command
	if err := set.Parse(words); err != nil {
		return command.OnUsageError(c, err, false)
	}
	name := c.Args().First()
	if f := set.Lookup("help"); f != nil && f.Value.String() == "true" {
		return p.helpOn(c, name)
	}
	if sub := command.Command(name); sub != nil {
		return p.dispatchTo(sub, app, c, c.Args().Tail())
	}
	return command.Action(c)
}

// helpOn is what --help prints: about the subcommand of a name, or what stands before it.
func (p *program) helpOn(c *cli.Context, name string) error {
	width := helpWidth(p.stdout)
	command := c.Command
	if name != "" {
		if command = c.App.Command(name); command == nil {
			return &plan.Error{Text: "No help topic for '" + name + "'"}
		}
	} else if len(c.Lineage()) == 2 {
		_, err := io.WriteString(p.stdout, shortHelp(c.App, width))
		return err
	}
	_, err := io.WriteString(p.stdout, commandHelp(command, width))
	return err
}
