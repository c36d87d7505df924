package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/doctor"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/rehearsal"
	"brs-exec.example/brs-exec/refresh/run"
	"brs-exec.example/brs-exec/refresh/simulator"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor"
)

const (
	simulateLifetime = time.Hour // of what stands for the real credentials

	exitRefused = 1
)

// rehearseCommand runs a command on credentials that expire soon, and says whether it
// survives that.
func (p *program) rehearseCommand() *cli.Command {
	return &cli.Command{
		Name:      "rehearse",
		Usage:     "run a command on credentials that expire each minute; says whether it survives",
		UsageText: "brs-exec rehearse [--life DURATION] [FLAGS] -- COMMAND [ARG...]",
		Description: "COMMAND does its real work, but is given local credentials that expire soon and are refreshed as real ones would be.\n" +
			"A proxy on loopback refuses those that have expired as AWS does, and signs all other requests with the real credentials.\n" +
			"A report on standard error says whether COMMAND survives, and what helps. Exit code: that of COMMAND, or 1 if a call was made with expired credentials.\n" +
			"  brs-exec rehearse --profile prod -- python job.py\n  brs-exec rehearse --simulate -- aws sts get-caller-identity",
		Flags:        p.flags("rehearse"),
		OnUsageError: p.usageError,
		Action:       p.rehearse,
	}
}

func (p *program) rehearse(c *cli.Context) error {
	if c.Args().Present() {
		return p.unexpectedArgs(c)
	}
	if len(p.argv) == 0 {
		return &plan.Error{Text: "no command to run", Hint: "brs-exec rehearse [FLAGS] -- COMMAND [ARG...]"}
	}
	settings, err := p.settings(c)
	if err != nil {
		return err
	}
	life, simulated, err := settings.Rehearsal()
	if err != nil {
		return err
	}
	o, err := p.optionsOf(settings)
	if err != nil {
		return err
	}
	o.Plan.List = nil // the profiles stay the same for so short a time
	record := &rehearsal.Record{}
	o.Rehearsal = &run.Rehearsal{Life: life, Record: record}
	if simulated {
		if err := p.simulate(&o); err != nil {
			return err
		}
	}
	o.Parts = append(o.Parts, run.Part{
		Name: "the record of the rehearsal",
		Engine: func(e refresh.Event, _ bool) {
			if e.Kind == refresh.Refreshed {
				record.Delivered(e.Profile, e.KeyID, e.Expires)
			}
		},
		Child: func(e supervisor.Event, first bool) {
			if first && e.Kind == supervisor.Started {
				record.Started(time.Now())
			}
		},
	})
	report := rehearsed{life: life, sign: o.Plan.Deliver.Sign}
	p.advise(c, o.Plan, &report) // while this process is where the command will be
	exit, err := run.Run(o)
	result := record.Result(time.Now())
	if result.Ran == 0 { // the command was not started
		return p.passOn(exit, err)
	}
	report.Result = result
	p.printRehearsal(report)
	if result.Refused() && err == nil {
		p.code = exitRefused
		return nil
	}
	return p.passOn(exit, err)
}

// simulate has the demo's simulator be AWS for the source and for the command.
func (p *program) simulate(o *run.Options) error {
	if len(o.Plan.Profiles) != 1 {
		return &plan.Error{Flag: "simulate", Text: "has one profile, and not a list", Hint: "leave out the list"}
	}
	server, err := simulator.Listen(simulateLifetime, nil)
	if err != nil {
		return err
	}
	pointAt(server)
	o.Rehearsal.Upstream = server.URL()
	if name := o.Plan.Profiles[0].Source.Profile; name != "" {
		o.Plan.As = append(o.Plan.As, name) // a command that names the profile is not to find the user's own keys there
	}
	o.Plan.Profiles[0].Source = source.Spec{Roles: []source.Role{{ARN: demoRole}}, Names: sessionNames(p.argv), Stderr: p.stderr}
	o.Parts = append(o.Parts, run.Part{Name: "the simulated AWS", Run: server.Run})
	return nil
}

// advise puts into the report what would help the command, should it be refused.
func (p *program) advise(c *cli.Context, pl *plan.Plan, r *rehearsed) {
	with := func(flags string) string { return p.with(c.Command.Flags, flags) }
	r.help = []string{with("--deliver sign")} // the refusal came from the signing proxy, so that this helps whatever it is
	for _, f := range doctor.Examine(doctor.Options{Plan: pl, Deliver: pl.Deliver.Name, With: with}) {
		if f.About != "command" || f.Level != "problem" {
			continue
		}
		r.why = append(r.why, f.Text)
		if strings.HasPrefix(f.Hint, "brs-exec ") && !slices.Contains(r.help, f.Hint) {
			r.help = append(r.help, f.Hint)
		}
	}
}

func (p *program) printRehearsal(r rehearsed) {
	width, _, terminal := terminalSize()
	if !terminal {
		width = defaultWidth
	}
	fmt.Fprintln(p.stderr, strings.Join(drawing{width: width}.rehearsal(r), "\n"))
}
