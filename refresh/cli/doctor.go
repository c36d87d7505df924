package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/doctor"
	"brs-exec.example/brs-exec/refresh/plan"
)

func (p *program) doctorCommand() *cli.Command {
	return &cli.Command{
		Name:         "doctor",
		Usage:        "say what would happen, and what would break; changes nothing",
		UsageText:    "brs-exec doctor [FLAGS] [-- COMMAND [ARG...]]",
		Description:  "Takes the flags of a run and looks at the source, the environment, the machine and COMMAND,\nwhich it does not run. Exit code 1 if something will break. Without --ask no credentials are retrieved.",
		Flags:        p.flags("doctor"),
		OnUsageError: p.usageError,
		Action:       p.doctor,
	}
}

func (p *program) doctor(c *cli.Context) error {
	settings, err := p.settings(c)
	if err != nil {
		return err
	}
	if c.Args().Present() {
		return p.unexpectedArgs(c)
	}
	pl, err := p.plan(settings, p.argv)
	if err != nil {
		return err
	}
	var refused []error
	if _, err := settings.Output(); err != nil {
		refused = append(refused, err)
	}
	if err := settings.FindHooks(pl); err != nil {
		refused = append(refused, err)
	}
	ask, asJSON := settings.Doctor()
	findings := doctor.Examine(doctor.Options{
		Plan: pl, Deliver: pl.Deliver.Name, Refused: refused, Ask: ask, All: asJSON,
		With: func(flags string) string { return p.with(c.Command.Flags, flags) },
	})
	if slices.ContainsFunc(findings, func(f doctor.Finding) bool { return f.Level == "problem" }) {
		p.code = 1
	}
	return p.printFindings(findings, asJSON)
}

// with is the command line to run the command with these flags as well as the
// typed ones of a run.
func (p *program) with(run []cli.Flag, flags string) string {
	words := append([]string{"brs-exec"}, keepTyped(run, p.typed, flags)...)
	line := strings.TrimSpace(plan.ShellLine(words) + " " + flags)
	return line + " -- " + cmp.Or(plan.ShellLine(p.argv), "COMMAND")
}

// printFindings prints findings.
func (p *program) printFindings(findings []doctor.Finding, asJSON bool) error {
	out := printable{p.stdout}
	if asJSON {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(findings)
	}
	for _, f := range findings {
		if _, err := fmt.Fprintf(out, "%-8s %s: %s\n", f.Level, f.About, f.Text); err != nil {
			return err
		}
		for i, line := range append([]string{f.Hint}, f.Try...) {
			name := "hint:"
			switch {
			case line == "":
				continue
			case i > 0:
				name = "try: "
			}
			if _, err := fmt.Fprintf(out, "         %s %s\n", name, line); err != nil {
				return err
			}
		}
	}
	return nil
}
