package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/run"
	"brs-exec.example/brs-exec/refresh/simulator"
	"brs-exec.example/brs-exec/refresh/source"
)

const (
	demoLifetime = 20 * time.Second // the lifetime of credentials
	demoPause    = 2 * time.Second  // between two calls of the demo's own command
	demoSets     = 5                // how many sets of credentials that command uses before it ends
	demoLimit    = 9                // how many lifetimes it has for that
	demoLonger   = 2 * time.Minute  // a lifetime that is enough for opendal and rusoto, which want more than most
	demoRole     = "arn:aws:iam::" + simulator.Account + ":role/demo"
)

// demoCommand runs a command, or a small client of its own, on credentials of
// a simulated STS. Nothing else in brs-exec reaches the simulator.
func (p *program) demoCommand() *cli.Command {
	return &cli.Command{
		Name:        "demo",
		Usage:       "watch a command outlive its credentials; needs no AWS account",
		UsageText:   "brs-exec demo [FLAGS] [-- COMMAND [ARG...]]",
		Description: "A simulated STS on loopback gives credentials with a lifetime of 20 seconds. COMMAND may be\nany AWS client.\n  brs-exec demo -- aws sts get-caller-identity\nSome clients refuse credentials with so little time left: add --life 2m.",
		Flags: append(flags("demo"),
			&cli.StringFlag{Name: demoLifeFlag, Category: "Where the credentials come from", Value: demoLifetime.String(), Usage: "lifetime of the credentials, a `DURATION`"}, &cli.BoolFlag{Name: demoClientFlag, Hidden: true}),
		HideHelpCommand: true,
		OnUsageError:    usageError,
		Action:          p.demo,
	}
}

const (
	demoLifeFlag   = "life"
	demoClientFlag = "be-the-command" // makes this program the command of its own demo
)

// lifetimeOf is what --life says. In less than a few seconds no client gets anything done.
func lifetimeOf(c *cli.Context) (time.Duration, error) {
	lifetime, err := time.ParseDuration(c.String(demoLifeFlag))
	if err != nil || lifetime < 5*time.Second || lifetime > 12*time.Hour {
		return 0, &plan.Error{Flag: demoLifeFlag, Text: fmt.Sprintf("%q: not a duration from 5s to 12h", c.String(demoLifeFlag)), Hint: "as in 20s, 90s or 5m"}
	}
	return lifetime, nil
}

func (p *program) demo(c *cli.Context) error {
	lifetime, err := lifetimeOf(c)
	if err != nil {
		return err
	}
	if c.Bool(demoClientFlag) {
		return demoClient(p.stdout, lifetime)
	}
	if c.Args().Present() {
		return p.unexpectedArgs(c)
	}
	own := !p.dashes
	if own {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find own program: %w", err)
		}
		p.argv = []string{self, "demo", "--" + demoClientFlag, "--" + demoLifeFlag, lifetime.String()}
	} else if len(p.argv) == 0 {
		return &plan.Error{Text: "no command to run", Hint: "brs-exec demo, or brs-exec demo -- COMMAND [ARG...]"}
	}
	o, err := p.options(c)
	if err != nil {
		return err
	}
	show := &narrator{w: p.stderr, calls: !own, lifetime: lifetime}
	server, err := simulator.Listen(lifetime, show.call)
	if err != nil {
		return err
	}
	pointAt(server)
	o.Plan.Profiles[0].Source = source.Spec{Roles: []source.Role{{ARN: demoRole}}, Names: sessionNames(p.argv), Stderr: p.stderr}
	o.Parts = []run.Part{{Name: "the simulated STS", Run: server.Run, Engine: func(e refresh.Event, _ bool) { show.event(e) }}}
	show.say("a simulated STS on %s gives credentials with a lifetime of %v; it is no AWS", server.URL(), lifetime)
	exit, err := run.Run(o)
	switch {
	case err != nil && !errors.Is(err, run.ErrExpired):
	case own && exit.Code == 0:
		show.say("shown: the command went on through %d sets of credentials with a lifetime of %v, and no call of it was refused", demoSets, lifetime)
	case !own && !show.called.Load():
		show.say("the command made no call%s", show.longer())
	}
	return p.passOn(exit, err)
}

// pointAt makes the simulator the only AWS that this process and the command
// know: nothing of a real account is read.
func pointAt(server *simulator.Server) {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			os.Unsetenv(name)
		}
	}
	keys := server.Bootstrap()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL(), "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_ACCESS_KEY_ID": keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY": keys.SecretAccessKey,
	} {
		os.Setenv(name, value)
	}
}

// narrator tells a person what happens.
type narrator struct {
	w        io.Writer
	calls    bool // tell each call of the command; the demo's own says so itself
	lifetime time.Duration

	called  atomic.Bool // the command has made a call
	expired sync.Once   // and one with credentials that had expired
}

// longer is for clients that fail here because of the lifetime alone.
func (n *narrator) longer() string {
	if n.lifetime >= demoLonger {
		return ""
	}
	return fmt.Sprintf("; some clients refuse a lifetime of only %v: try --life 2m", n.lifetime)
}

func (n *narrator) say(format string, args ...any) {
	fmt.Fprintf(n.w, "%s demo: %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

func (n *narrator) event(e refresh.Event) {
	if e.Kind == refresh.Refreshed {
		n.say("the files hold %s, which expires at %s; next refresh at %s", refresh.ShortKeyID(e.KeyID), e.Expires.Local().Format(time.TimeOnly), e.Next.Local().Format(time.TimeOnly))
	}
}

func (n *narrator) call(c simulator.Call) {
	switch {
	case c.Issued > 0:
		n.say("STS issues credentials %d", c.Issued)
	case !n.calls:
	case c.Refused != "":
		n.called.Store(true)
		n.say("%s %s with credentials %d: refused, %s", c.Service, c.Action, c.Number, c.Refused)
		if strings.HasPrefix(c.Refused, "Expired") {
			n.expired.Do(func() {
				n.say("these had expired: the command does not retrieve newer ones in time%s", n.longer())
			})
		}
	default:
		n.called.Store(true)
		n.say("%s %s with credentials %d: accepted", c.Service, c.Action, c.Number)
	}
}

// demoClient is a long-lived AWS client as anyone would write it: it makes one
// client and calls. Beside it, it keeps the keys that it found at the start, as
// a program does that got them exported.
func demoClient(w io.Writer, lifetime time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), demoLimit*lifetime)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	first, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	client := sts.NewFromConfig(cfg)
	frozen := sts.NewFromConfig(cfg, func(o *sts.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider(first.AccessKeyID, first.SecretAccessKey, first.SessionToken)
	})
	used := map[string]bool{}
	tick := time.NewTicker(demoPause)
	defer tick.Stop()
	for {
		if _, err := client.GetCallerIdentity(ctx, nil); err != nil {
			return fmt.Errorf("call: %w", err)
		}
		now, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return err
		}
		used[now.AccessKeyID] = true
		fmt.Fprintf(w, "%s command: call accepted with %s; with the keys exported at the start: %s\n",
			time.Now().Format(time.TimeOnly), refresh.ShortKeyID(now.AccessKeyID), callResult(ctx, frozen))
		if len(used) == demoSets {
			return nil
		}
		<-tick.C
	}
}

func callResult(ctx context.Context, client *sts.Client) string {
	_, err := client.GetCallerIdentity(ctx, nil)
	var refused smithy.APIError
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &refused):
		return "refused, " + refused.ErrorCode()
	}
	return "no answer"
}
