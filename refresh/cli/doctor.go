package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	reader "brs-exec/refresh/doctor/clients"
	"brs-exec/refresh/plan"
	"brs-exec/refresh/source"
	"brs-exec/writer"
)

func doctorFlags() []cli.Flag {
	return []cli.Flag{
		truth(aboutOutput, "ask", "get one set from the source, and ask STS whose it is"),
		truth(aboutOutput, "json", "print a list of findings in JSON"),
	}
}

func (p *program) doctorCommand() *cli.Command {
	return &cli.Command{
		Name:            "doctor",
		Usage:           "say what would happen, and what would break; changes nothing",
		UsageText:       "brs-exec doctor [FLAGS] [-- COMMAND [ARG...]]",
		Description:     "Takes the flags of a run and looks at the source, the environment, the machine and COMMAND,\nwhich it does not run. Exit code 1 if something will break. Without --ask nobody is asked.",
		Flags:           slices.Concat(doctorFlags(), sourceFlags(), deliveryFlags(), refreshFlags(), childFlags(), outputFlags("warn")),
		HideHelpCommand: true,
		OnUsageError:    usageError,
		Action:          p.doctor,
	}
}

// finding is one thing that doctor has to say.
type finding struct {
	Level string `json:"level"` // ok, note, problem
	About string `json:"about"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // what to type or to change
}

// doctor is one examination.
type doctor struct {
	plan     *plan.Plan
	deliver  string     // --deliver
	bare     bool       // auto, but no profile can be used
	typed    []string   // before the "--"
	flags    []cli.Flag // that it may have
	findings []finding
	source   *source.Source
	look     *reader.Report // nil without a command
	profile  string         // that the command would find
	size     int            // of what a credential_process would print; 0 if no set was asked for
}

func (d *doctor) ok(about, format string, args ...any) { d.add("ok", about, "", format, args...) }

func (d *doctor) note(about, hint, format string, args ...any) {
	d.add("note", about, hint, format, args...)
}

func (d *doctor) problem(about, hint, format string, args ...any) {
	d.add("problem", about, hint, format, args...)
}

func (d *doctor) add(level, about, hint, format string, args ...any) {
	f := finding{level, about, oneLine(fmt.Sprintf(format, args...)), oneLine(hint)}
	if !slices.Contains(d.findings, f) {
		d.findings = append(d.findings, f)
	}
}

func (p *program) doctor(c *cli.Context) error {
	from, err := p.settle(c)
	if err != nil {
		return err
	}
	if c.Args().Present() {
		return p.stray(c)
	}
	pl, err := plan.New(c, p.argv)
	if err != nil {
		return from.explain(err)
	}
	pl.Source.Names = names(p.argv)
	pl.Source.Stderr, pl.Source.Prompt = p.raw, prompt()
	d := &doctor{plan: pl, deliver: cmp.Or(c.String("deliver"), "auto"), typed: p.typed, flags: c.Command.Flags}
	if len(p.argv) > 0 {
		d.look = reader.Look(reader.Start{Argv: p.argv, Env: os.Environ()})
	}
	d.examineDelivery()
	d.examineSource(c.Bool("ask"))
	d.examineFiles()
	d.examineEnvironment(os.Environ())
	d.examineMachine()
	d.examineCommand()
	for _, f := range d.findings {
		if f.Level == "problem" {
			p.code = 1
		}
	}
	return d.print(p, c.Bool("json"))
}

func (d *doctor) print(p *program, asJSON bool) error {
	out := printable{p.stdout}
	if asJSON {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(d.findings)
	}
	for _, f := range d.findings {
		if _, err := fmt.Fprintf(out, "%-8s %s: %s\n", f.Level, f.About, f.Text); err != nil {
			return err
		}
		if f.Hint == "" {
			continue
		}
		if _, err := fmt.Fprintf(out, "         hint: %s\n", f.Hint); err != nil {
			return err
		}
	}
	return nil
}

// with is a hint to run the command with these flags as well as the typed ones.
func (d *doctor) with(flags string) string {
	words := append([]string{"brs-exec"}, keepTyped(d.flags, d.typed, flags)...)
	line := strings.TrimSpace(shellLine(words) + " " + flags)
	return line + " -- " + cmp.Or(shellLine(d.plan.Argv), "COMMAND")
}

// examineFiles says where the run directory would be.
func (d *doctor) examineFiles() {
	o := writer.Options{Profile: d.plan.Source.Profile, As: d.plan.As, Mode: d.plan.Deliver.Files, KeepIMDS: d.plan.KeepIMDS}
	if d.source != nil {
		o.Profile, o.Region = d.source.Profile(), d.source.Region()
	}
	o.ConfigFile, o.CredentialsFile = sharedFiles()
	v, err := writer.NewPreview(o, os.Environ())
	if err != nil {
		d.problem("configuration", "correct that line; brs-exec changes no file that it cannot read", "%v", err)
		return
	}
	d.profile = v.Profile
	d.examineShared()
	for _, note := range v.Notes {
		d.note("configuration", "", "%s", note)
	}
	slices.Sort(v.Taken)
	if len(v.Taken) > 0 {
		d.note("environment", "", "%s would win over what is delivered: taken out for the command", strings.Join(v.Taken, ", "))
	}
	if v.Base == "" {
		d.problem("run directory", "TMPDIR=/a/directory/of/yours "+d.with(""), "none can be made: tried %s", strings.Join(v.Passed, "; "))
		return
	}
	d.examineDirectory(v.Base)
}
