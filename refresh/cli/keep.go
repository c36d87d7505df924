package cli

import (
	"cmp"
	"strings"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/run"
)

// keepCommand is a run without a command.
func (p *program) keepCommand() *cli.Command {
	return &cli.Command{
		Name:      "keep",
		Usage:     "keep credentials fresh for programs that others start: a sidecar, a service, an init container",
		UsageText: "brs-exec keep --run-dir DIR | --credentials-file FILE [FLAGS]",
		Description: "Delivers to a directory or a file, or both, until a signal asks for the end (TERM, INT, HUP: exit\n" +
			"code 0). The file env in the directory says which variables other programs have to set. See docs/keep.md.",
		Flags:        p.flags("keep"),
		OnUsageError: p.keepUsageError,
		Action:       p.keep,
	}
}

func (p *program) keep(c *cli.Context) error {
	switch {
	case p.dashes && !c.Args().Present():
		return &plan.Error{Text: "keep runs no command", Hint: "leave out keep, or the command: " + "brs-exec [FLAGS] -- " + plan.ShellLine(p.argv)}
	case c.Args().Present():
		return p.unexpectedArgs(c)
	}
	p.argv = []string{"keep"}
	o, err := p.options(c)
	if err != nil {
		return err
	}
	exit, err := run.Run(o)
	return p.passOn(exit, err)
}

// keepUsageError knows the flags that need a command.
func (p *program) keepUsageError(c *cli.Context, err error, is bool) error {
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		name = strings.TrimLeft(name, "-")
		if about, ok := plan.OfRun(name); ok {
			return &plan.Error{Text: "--" + name + " is of no use to keep, which runs no command", Hint: cmp.Or(keepHints[name], "leave it out; it is about: "+strings.ToLower(about[:1])+about[1:])}
		}
	}
	return p.usageError(c, err, is)
}

// keepHints say what keep has in place of a flag of a run.
var keepHints = map[string]string{
	"restart":      "what restarts keep is its service manager: Restart=always, restartPolicy: Always",
	"notify-child": "leave it out: keep talks to systemd itself",
	"imds-v1":      "leave it out: keep has no --deliver imds",
}
