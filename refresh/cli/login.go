package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
)

func (p *program) loginCommand() *cli.Command {
	return &cli.Command{
		Name:         "login",
		Usage:        "log in to the SSO session of a profile",
		UsageText:    "brs-exec login [FLAGS]",
		Description:  "The SSO session serves the AWS CLI and all SDKs, and a brs-exec that waits for it goes on.",
		Flags:        p.flags("login"),
		OnUsageError: p.usageError,
		Action:       p.login,
	}
}

func (p *program) login(c *cli.Context) error {
	settings, err := p.settings(c)
	if err != nil {
		return err
	}
	if c.Args().Present() || p.dashes {
		return &plan.Error{Text: "login runs no command", Hint: "brs-exec login --profile NAME, and then brs-exec --profile NAME -- COMMAND"}
	}
	l := source.Login{Profile: settings.Profile(), Show: p.showLogin}
	in, err := l.Run(context.Background())
	if err != nil {
		return err
	}
	p.printf("logged in: SSO session %q", in.Name)
	if in.RenewedUntil.IsZero() {
		p.printf("it expires %s", localTime(in.Expires))
	} else {
		p.printf("it is renewed without you for as long as your organization allows, until %s at the latest", localTime(in.RenewedUntil))
	}
	return nil
}

// showLogin says where to go. The address has a line of its own, to be copied.
func (p *program) showLogin(url, code string) {
	p.printf("open this in a browser on any machine, and see that it shows the code %s:", code)
	fmt.Fprintln(p.stderr, plan.OneLine(url))
}

// printf prints a line.
func (p *program) printf(format string, args ...any) {
	fmt.Fprintf(p.stderr, "brs-exec: %s\n", plan.OneLine(fmt.Sprintf(format, args...)))
}

func localTime(t time.Time) string { return t.Local().Format(time.RFC3339) }
