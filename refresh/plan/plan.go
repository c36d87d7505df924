// Package plan is what was asked: one model behind the flags, the BRS_EXEC_
// variables and the configuration file, checked as a whole before anything is
// started.
//
// Every complaint is an [Error]: one line that says what is wrong and, where
// there is something to type instead, a second one that says what. The first
// complaint is the only one: a person mends one thing at a time.
package plan

import (
	"fmt"
	"strings"
	"time"

	"brs-exec/refresh/source"
	"brs-exec/supervisor"
	"brs-exec/writer"
)

// Values are the settings as they were typed, by flag name. A
// *cli.Context satisfies it.
type Values interface {
	String(name string) string
	StringSlice(name string) []string
	Bool(name string) bool
}

// Error is a setting that cannot be used.
type Error struct {
	Flag string // the setting, without dashes; empty if it is about no single one
	Text string // what is wrong, lower case, one line, reads on from "--flag "
	Hint string // what to type next, one line; may be empty
}

// Error returns the flag and the text without the hint.
func (e *Error) Error() string {
	if e.Flag == "" {
		return e.Text
	}
	return "--" + e.Flag + " " + e.Text
}

func wrong(flag, hint, format string, args ...any) error {
	return &Error{Flag: flag, Text: fmt.Sprintf(format, args...), Hint: hint}
}

// Plan is a checked set of settings.
type Plan struct {
	Argv   []string // the command and its arguments; empty for subcommands that run none
	Source source.Spec

	Deliver  Delivery
	As       []string // further profile names the child finds the credentials under
	KeepIMDS bool
	Shared   Shared

	RefreshBefore time.Duration // 0 is the default margin
	MinTTL        time.Duration // 0 is none
	StartTimeout  time.Duration // 0 is what the source asks for
	OnRefresh     Reaction
	OnExpiry      Reaction
	OnStale       Reaction

	EndingBefore   time.Duration // how long before the end of the source a person is told
	OnSourceEnding Reaction

	Child     supervisor.Options // but Argv and what is known only when it runs
	Subreaper bool

	Lock        string // name of a lock against overlapping runs; empty for none
	NotifyChild bool   // the command talks to systemd itself
}

// Delivery is a combination of channels to the command.
type Delivery struct {
	Files    writer.Mode
	Endpoint bool // the container credentials endpoint
	IMDS     bool // the instance metadata service
	V1       bool // its version 1 as well
	Env      bool // the environment, at each start
}

// deliveries are the combinations that have been found to work: a channel that
// an SDK asks first hides the others from it.
var deliveries = map[string]Delivery{
	"auto":     {Files: writer.Auto, Endpoint: true},
	"process":  {Files: writer.Process},
	"file":     {Files: writer.File},
	"endpoint": {Files: writer.Endpoint, Endpoint: true},
	"imds":     {Files: writer.Endpoint, IMDS: true},
	"env":      {Files: writer.Endpoint, Env: true},
}

// New checks the settings v and the command argv. It reads no file but the one
// that --policy names, and the AWS configuration if a role or a duration is none
// that AWS accepts: another server may be meant. It asks nobody.
func New(v Values, argv []string) (*Plan, error) {
	p := &Plan{Argv: argv, As: v.StringSlice("as-profile"), KeepIMDS: v.Bool("keep-imds")}
	steps := []func(Values) error{p.sources, p.delivery, p.shared, p.times, p.lives, p.reactions, p.child}
	for _, step := range steps {
		if err := step(v); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *Plan) delivery(v Values) error {
	for _, name := range p.As {
		if name == "" || strings.ContainsAny(name, "[]\r\n") {
			return wrong("as-profile", "a profile name as in [profile NAME]", "%q: not a profile name", name)
		}
	}
	d := v.String("deliver")
	if d == "" {
		d = "auto"
	}
	var ok bool
	if p.Deliver, ok = deliveries[d]; !ok {
		return wrong("deliver", "one of auto, process, file, endpoint, imds, env", "%q: no such delivery", d)
	}
	if p.Deliver.V1 = v.Bool("imds-v1"); p.Deliver.V1 && !p.Deliver.IMDS {
		return wrong("imds-v1", "add --deliver imds", "needs --deliver imds")
	}
	return nil
}

func (p *Plan) times(v Values) (err error) {
	for _, d := range []struct {
		flag string
		into *time.Duration
	}{
		{"refresh-before", &p.RefreshBefore},
		{"min-ttl", &p.MinTTL},
		{"start-timeout", &p.StartTimeout},
		{"source-ending-before", &p.EndingBefore},
	} {
		if *d.into, err = duration(v, d.flag); err != nil {
			return err
		}
	}
	return nil
}

// lives refuses times that no session can have left, as far as its length is known.
func (p *Plan) lives(v Values) error {
	life, of := time.Duration(0), ""
	if v.String("duration") != "" {
		life, _ = time.ParseDuration(v.String("duration"))
		of = "a session of --duration " + v.String("duration")
	}
	if chained := len(v.StringSlice("role-arn")) > 1; chained && (life == 0 || life > time.Hour) && !otherSTS() {
		life, of = time.Hour, "a session of a chain of roles, at most 1h"
	}
	if life == 0 {
		return nil
	}
	if p.MinTTL >= life {
		return wrong("min-ttl", "a longer --duration, or a shorter --min-ttl", "%s: not shorter than %s", v.String("min-ttl"), of)
	}
	if p.RefreshBefore >= life {
		return wrong("refresh-before", "leave it out: the default is 30m, and never more than half of a session", "%s: not shorter than %s", v.String("refresh-before"), of)
	}
	return nil
}

// duration reads a length of time. A bare number is refused: it is seconds to
// those who come from the AWS CLI and minutes to those who come from cron.
func duration(v Values, flag string) (time.Duration, error) {
	s := v.String(flag)
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		hint := "write it as 90s, 45m or 1h30m"
		if strings.Trim(s, "0123456789") == "" {
			hint = fmt.Sprintf("a number needs its unit: --%s %ss or %sm", flag, s, s)
		}
		return 0, wrong(flag, hint, "%q: not a duration", s)
	}
	if d < 0 {
		return 0, wrong(flag, "", "%q: a duration cannot be negative", s)
	}
	return d, nil
}
