package cli

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/run"
	"brs-exec.example/brs-exec/writer"
	"brs-exec.example/brs-exec/writer/process"
)

func (p *program) credentialsCommand() *cli.Command {
	return &cli.Command{
		Name:         "credentials",
		Usage:        "print credentials once, for a credential_process line or a script",
		UsageText:    "brs-exec credentials [FLAGS]",
		Description:  "  credential_process = brs-exec credentials --role-arn arn:aws:iam::123456789012:role/NAME",
		Flags:        p.flags("credentials"),
		OnUsageError: p.usageError,
		Action:       p.credentials,
	}
}

func (p *program) credentials(c *cli.Context) error {
	settings, err := p.settings(c)
	if err != nil {
		return err
	}
	if c.Args().Present() || p.dashes {
		return &plan.Error{Text: "credentials runs no command", Hint: "brs-exec -- COMMAND runs one with fresh credentials"}
	}
	format, dir, err := settings.Credentials()
	if err != nil {
		return err
	}
	if dir != "" {
		return p.fromRunDir(dir, settings.Profile())
	}
	out, err := settings.Output()
	if err != nil {
		return err
	}
	pl, err := p.plan(settings, nil)
	if err != nil {
		return err
	}
	leave, err := enterNested()
	if err != nil {
		return err
	}
	defer leave()
	pl.Profiles[0].Source.Names.Command = "credentials"
	creds, err := run.Once(run.Options{Plan: pl, Log: p.logger(out)})
	if err != nil {
		return err
	}
	return p.print(creds, format, cmp.Or(pl.Profiles[0].Name, pl.Profiles[0].Source.Profile, "default"))
}

// nestedVariable counts the brs-exec credentials that wait for each other, in the
// environment of the programs that they run.
const nestedVariable = "_BRS_EXEC_NESTED"

// enterNested refuses to go on where a credential_process seems to run itself: without an
// end to it the machine would be full of processes. Else it counts until leave is called.
func enterNested() (leave func(), err error) {
	before := os.Getenv(nestedVariable)
	depth, _ := strconv.Atoi(before)
	if depth >= 4 {
		return nil, &plan.Error{
			Text: fmt.Sprintf("a credential_process runs itself: %d brs-exec credentials wait for each other", depth),
			Hint: "it gets credentials from the profile that it belongs to: name another with --profile",
		}
	}
	return func() { os.Setenv(nestedVariable, before) }, os.Setenv(nestedVariable, strconv.Itoa(depth+1))
}

// fromRunDir prints what another brs-exec keeps of a profile in dir. In the spelling that SDKs are
// given, package early has done that already.
func (p *program) fromRunDir(dir, profile string) error {
	line, err := process.OutputOf(dir, profile, time.Now())
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
