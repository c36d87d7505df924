package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/run"
	"brs-exec.example/brs-exec/refresh/simulator"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor"
)

const (
	demoLifetime        = 10 * time.Second // of the credentials of the demo's own job
	demoCommandLifetime = 20 * time.Second // of those of a command: real clients want more to remain
	demoLonger          = 2 * time.Minute  // a lifetime that is enough for opendal and rusoto, which want more than most
	demoEvery           = 10               // calls of the job in a lifetime
	demoFrame           = 200 * time.Millisecond
	demoRole            = "arn:aws:iam::" + simulator.Account + ":role/demo"
	demoExported        = "exported-keys" // what the client with these calls itself
)

// demoLength is how long the job works: until several of its sessions have expired.
func demoLength(lifetime time.Duration) time.Duration { return lifetime * 5 / 2 }

// demoCommand runs a command, or a small job of its own, on credentials of
// a simulated STS. Besides it only rehearse --simulate reaches the simulator.
func (p *program) demoCommand() *cli.Command {
	return &cli.Command{
		Name:      "demo",
		Usage:     "watch a command outlive its credentials; needs no AWS account",
		UsageText: "brs-exec demo [FLAGS] [-- COMMAND [ARG...]]",
		Description: "A simulated STS on loopback gives credentials that live for seconds. Without a COMMAND\na job of the demo's own works on these for half a minute, on one screen; in lines if that does not fit.\n" +
			"COMMAND may be any AWS client.\n  brs-exec demo -- aws sts get-caller-identity\nSome clients refuse credentials with so little time left: add --life 2m.",
		Flags: append(p.flags("demo"),
			newFlag(&plan.Flag{Name: demoLifeFlag, About: "Where the credentials come from", Value: "DURATION", Usage: "lifetime of the credentials, a DURATION (default: 10s, 20s for a COMMAND)"}),
			newFlag(&plan.Flag{Name: demoClientFlag, Boolean: true, Hidden: true})),
		OnUsageError: p.usageError,
		Action:       p.demo,
	}
}

const (
	demoLifeFlag   = "life"
	demoClientFlag = "be-the-command" // makes this program the command of its own demo
)

// lifetimeOf is what --life says. In less than a few seconds no client gets anything done.
func lifetimeOf(c *cli.Context, own bool) (time.Duration, error) {
	switch {
	case c.IsSet(demoLifeFlag):
	case own:
		return demoLifetime, nil
	default:
		return demoCommandLifetime, nil
	}
	lifetime, err := time.ParseDuration(c.String(demoLifeFlag))
	if err != nil || lifetime < 5*time.Second || lifetime > 12*time.Hour {
		return 0, &plan.Error{Flag: demoLifeFlag, Text: fmt.Sprintf("%q: not a duration from 5s to 12h", c.String(demoLifeFlag)), Hint: "as in 20s, 90s or 5m"}
	}
	return lifetime, nil
}

func (p *program) demo(c *cli.Context) error {
	own := !p.dashes
	lifetime, err := lifetimeOf(c, own)
	if err != nil {
		return err
	}
	if c.Bool(demoClientFlag) {
		return demoClient(lifetime)
	}
	if c.Args().Present() {
		return p.unexpectedArgs(c)
	}
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
	n := &narrator{w: p.stderr, own: own, shown: shown{lifetime: lifetime}}
	live := own && p.mayBeLive(o.Log)
	if own {
		o.Plan.Child.Once = false // standard output stays ours
		n.w = p.stdout
	}
	if live { // says all
		n.w, o.Waiting = io.Discard, nil
	}
	server, err := simulator.Listen(lifetime, n.call)
	if err != nil {
		return err
	}
	pointAt(server)
	o.Plan.Profiles[0].Source = source.Spec{Roles: []source.Role{{ARN: demoRole}}, Names: sessionNames(p.argv), Stderr: p.stderr}
	o.Parts = []run.Part{{Name: "the simulated STS", Run: server.Run, Engine: func(e refresh.Event, _ bool) { n.event(e) }}}
	if live {
		o.Parts = append(o.Parts, run.Part{Name: "the screen", Run: func(ctx context.Context) error { return p.drawDemo(ctx, n) }})
		defer p.signals.AtEnd(func() { fmt.Fprintln(p.stdout) })()
	}
	n.begin(server.URL())
	exit, err := run.Run(o)
	p.endDemo(n, live, exit, err)
	return p.passOn(exit, err)
}

// mayBeLive tells whether standard output is a terminal that the screen fits in. What is
// logged at the level that was asked for would be lost in it.
func (p *program) mayBeLive(log *slog.Logger) bool {
	width, rows, terminal := terminalSize()
	return terminal && screenAllowed() && width >= demoMinWidth && rows >= demoMinRows && !log.Enabled(context.Background(), slog.LevelWarn)
}

// drawDemo draws the screen until ctx ends.
func (p *program) drawDemo(ctx context.Context, n *narrator) error {
	tick := time.NewTicker(demoFrame)
	defer tick.Stop()
	for {
		if terminal, err := p.redraw(n.draw); err != nil || !terminal {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// endDemo says what was shown, once the run is over.
func (p *program) endDemo(n *narrator, live bool, exit supervisor.Exit, err error) {
	done := err == nil && exit.Code == 0
	if !n.own {
		if done && !n.called.Load() {
			n.say("the command made no call%s", n.longer())
		}
		return
	}
	d := drawing{now: time.Now(), width: defaultWidth}
	if live && done {
		p.redraw(func(screen drawing) []string {
			d.width = screen.width
			screen.rows -= len(n.summary(d)) + 2 // an empty line, and that of the prompt
			return n.draw(screen)
		})
		fmt.Fprintln(p.stdout)
	}
	if live {
		fmt.Fprintln(p.stdout)
	}
	switch {
	case done:
		fmt.Fprintln(p.stdout, strings.Join(n.summary(d), "\n"))
	case err == nil && exit.Signal == 0:
		p.printf("the demo's job has failed: brs-exec demo | cat shows why")
	}
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

// narrator sees what happens, and tells a person in lines.
type narrator struct {
	w      io.Writer
	own    bool // the job is the demo's
	called atomic.Bool
	warned sync.Once // that the command uses credentials that have expired

	mu sync.Mutex
	shown
}

// longer is for clients that fail here because of the lifetime alone.
func (n *narrator) longer() string {
	if n.lifetime >= demoLonger {
		return ""
	}
	return fmt.Sprintf("; some clients refuse a lifetime of only %v: try --life 2m", n.lifetime)
}

func (n *narrator) say(format string, args ...any) {
	before := time.Now().Format(time.TimeOnly) + " demo: "
	lines := drawing{width: defaultWidth}.wrap(before+fmt.Sprintf(format, args...), strings.Repeat(" ", len(before)))
	fmt.Fprintln(n.w, strings.Join(lines, "\n"))
}

func (n *narrator) begin(url string) {
	n.say("a simulated AWS on %s; credentials are valid for %v", url, n.lifetime)
}

// draw is what there is to see at this moment.
func (n *narrator) draw(d drawing) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return d.demo(&n.shown)
}

func (n *narrator) summary(d drawing) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return d.demoSummary(&n.shown)
}

func (n *narrator) event(e refresh.Event) {
	if e.Kind != refresh.Refreshed {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	s := demoSession{key: refresh.ShortKeyID(e.KeyID), issued: e.Time, expires: e.Expires, next: e.Next}
	n.sessions = append(n.sessions, s)
	n.say("%s delivered; expires %s, next refresh %s", s.key, s.expires.Local().Format(time.TimeOnly), s.next.Local().Format(time.TimeOnly))
}

func (n *narrator) call(c simulator.Call) {
	if c.Issued > 0 {
		return // the engine tells of it, once it is delivered
	}
	n.called.Store(true)
	if n.own {
		n.ownCall(c)
		return
	}
	if c.Refused == "" {
		n.say("the command's call with %s: ok, %s %s", refresh.ShortKeyID(c.KeyID), c.Service, c.Action)
		return
	}
	n.say("the command's call with %s: refused, %s, %s %s", refresh.ShortKeyID(c.KeyID), c.Refused, c.Service, c.Action)
	if strings.HasPrefix(c.Refused, "Expired") {
		n.warned.Do(func() {
			n.say("these had expired: the command does not retrieve newer ones in time%s", n.longer())
		})
	}
}

// ownCall tells of what is new in the calls of the demo's own job.
func (n *narrator) ownCall(c simulator.Call) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := answer{refresh.ShortKeyID(c.KeyID), c.Refused}
	var before answer
	if c.App == demoExported {
		for i := range n.calls {
			before = cmp.Or(n.calls[i].exported, before)
		}
		if len(n.calls) > 0 {
			n.calls[len(n.calls)-1].exported = a
		}
		if a.refused != "" && before.refused == "" {
			n.say("from here on keys exported at the start would get %s", a.refused)
		}
		return
	}
	if len(n.calls) == 0 {
		n.began = c.Time
	} else {
		before = n.calls[len(n.calls)-1].job
	}
	n.calls = append(n.calls, demoCall{at: c.Time, job: a})
	if a != before {
		n.say("the job calls with %s: %s", a.key, a)
	}
}

// demoClient is the demo's own job.
func demoClient(lifetime time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*demoLength(lifetime))
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithCredentialsCacheOptions(inTime(lifetime)))
	if err != nil {
		return err
	}
	return demoJob(ctx, cfg, lifetime)
}

// inTime has the SDK for Go retrieve credentials before they expire, as those for Java, Python and
// others do by themselves: soon after each refresh.
func inTime(lifetime time.Duration) func(*aws.CredentialsCacheOptions) {
	return func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = lifetime * 3 / 10 }
}

// demoJob is a long-lived AWS client as anyone would write it: it makes one
// client and calls. Beside it, it keeps the keys that it found at the start, as
// a program does that got them exported.
func demoJob(ctx context.Context, cfg aws.Config, lifetime time.Duration) error {
	first, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	client := sts.NewFromConfig(cfg)
	exported := sts.NewFromConfig(cfg, func(o *sts.Options) {
		o.AppID = demoExported
		o.Credentials = credentials.NewStaticCredentialsProvider(first.AccessKeyID, first.SecretAccessKey, first.SessionToken)
	})
	tick := time.NewTicker(lifetime / demoEvery)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < demoLength(lifetime); <-tick.C {
		if _, err := client.GetCallerIdentity(ctx, nil); err != nil {
			return fmt.Errorf("call: %w", err)
		}
		exported.GetCallerIdentity(ctx, nil) // whose answer the simulator tells
	}
	return nil
}
