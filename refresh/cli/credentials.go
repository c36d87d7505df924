package cli

import (
	"cmp"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/urfave/cli/v2"

	"brs-exec/refresh/plan"
	"brs-exec/refresh/run"
	"brs-exec/writer"
	"brs-exec/writer/process"
)

func credentialsFlags() []cli.Flag {
	return []cli.Flag{
		text(aboutOutput, "format", "process", "`FORMAT`: process (what a credential_process prints), env (export lines), ini (a section for a credentials file)"),
		text(aboutSource, "run-dir", "", "take what the brs-exec that owns this `DIR` holds, instead of asking a source"),
	}
}

func (p *program) credentialsCommand() *cli.Command {
	flags := append(sourceFlags(), credentialsFlags()...)
	flags = append(flags, text(aboutRefresh, "start-timeout", "", "`DURATION` to try for the credentials (default: 30s, or 70s if a command has to be run for them)"))
	return &cli.Command{
		Name:            "credentials",
		Usage:           "print one set of credentials, for a credential_process line or a script",
		UsageText:       "brs-exec credentials [FLAGS]",
		Description:     "credential_process = brs-exec credentials --role-arn arn:aws:iam::123456789012:role/NAME",
		Flags:           append(flags, outputFlags("warn")...),
		HideHelpCommand: true,
		OnUsageError:    usageError,
		Action:          p.credentials,
	}
}

func (p *program) credentials(c *cli.Context) error {
	from, err := p.settle(c)
	if err != nil {
		return err
	}
	if c.Args().Present() || p.dashes {
		return &plan.Error{Text: "credentials runs no command", Hint: "brs-exec -- COMMAND runs one with fresh credentials"}
	}
	format := c.String("format")
	if format != "process" && format != "env" && format != "ini" {
		return &plan.Error{Text: fmt.Sprintf("--format %q: no such format", format), Hint: "one of process, env, ini"}
	}
	if dir := c.String("run-dir"); dir != "" {
		if format != "process" {
			return &plan.Error{Text: "--run-dir has only --format process"}
		}
		for _, f := range sourceFlags() {
			if name := f.Names()[0]; c.IsSet(name) {
				return &plan.Error{Flag: "run-dir", Text: "takes what a running brs-exec holds; --" + name + " would ask a source"}
			}
		}
		return p.held(dir)
	}
	log, err := logger(p.stderr, c.String("log-level"), c.String("log-format"), c.Bool("quiet"))
	if err != nil {
		return from.explain(err)
	}
	pl, err := plan.New(c, nil)
	if err != nil {
		return from.explain(err)
	}
	pl.Source.Names = names([]string{"credentials"})
	pl.Source.Stderr, pl.Source.Prompt = p.raw, prompt()
	creds, err := run.Once(pl, log)
	if err != nil {
		return err
	}
	return p.print(creds, format, cmp.Or(pl.Source.Profile, "default"))
}

// held prints what another brs-exec keeps in dir. In the spelling that SDKs are
// given, package early has done that already.
func (p *program) held(dir string) error {
	line, err := process.Output(dir, time.Now())
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(line)
	return err
}

func (p *program) print(creds aws.Credentials, format, section string) (err error) {
	var out []byte
	switch format {
	case "process":
		out, err = writer.FormatProcess(creds, time.Now())
	case "env":
		out = writer.FormatEnv(creds)
	case "ini":
		out, err = writer.FormatINI(creds, section)
	}
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(out)
	return err
}
