// Package plan is what the user wants: one model behind the flags, the BRS_EXEC_
// variables and the configuration file, checked as a whole before anything is
// started.
//
// Each error is an [Error]: one line that says what is wrong and, where there is
// something to type instead, a hint. Only the first is returned: a person corrects
// one thing at a time.
package plan

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"brs-exec.example/brs-exec/supervisor"
	"brs-exec.example/brs-exec/writer"
)

// Error is a setting that cannot be used.
type Error struct {
	Flag string // the setting, without dashes; empty if it is about no single one
	Text string // what is wrong, lower case, one line, reads on from "--flag "
	Hint string // what to type next, one line; may be empty

	explained bool // it says where the settings stand
}

// Error returns the flag and the text without the hint.
func (e *Error) Error() string {
	if e.Flag == "" {
		return e.Text
	}
	return "--" + e.Flag + " " + e.Text
}

func wrong(f setting, hint, format string, args ...any) error {
	e := &Error{Text: fmt.Sprintf(format, args...), Hint: hint}
	if f != nil {
		e.Flag = f.flag().Name
	}
	return e
}

// Plan is a checked set of settings.
type Plan struct {
	Argv     []string  // the command and its arguments; empty for subcommands that run none
	Profiles []Profile // what is kept fresh, in the order of the list; one in a run without a list
	List     *List     // watches where the profiles come from; nil if they cannot change

	Require     int // how many profiles must be delivered before the command starts; 0 is all
	Concurrency int // how many sources are asked at a time; 0 is the engine's default

	Deliver  Delivery
	As       []string // further profile names the child finds the credentials under
	KeepIMDS bool
	Shared   Shared
	Sign     Sign

	RefreshBefore time.Duration // 0 is the default margin
	MinTTL        time.Duration // 0 is none
	StartTimeout  time.Duration // 0 is what the source asks for
	EndingBefore  time.Duration // how long before the source expiry a person is told

	Child     supervisor.Options // but Argv and what is known only when it runs
	Subreaper bool

	Keep *Keep // nil: there is a command

	Name        string // what the run is called where it is told of; empty: see the run
	Lock        string // name of a lock against overlapping runs; empty for none
	NotifyChild bool   // the command talks to systemd itself

	Sight Sight
}

// Delivery is what --deliver asks for: a combination of ways to the command.
type Delivery struct {
	Name     string // of the combination, as --deliver has it
	Files    writer.Mode
	Endpoint bool // the container credentials endpoint
	IMDS     bool // the instance metadata service
	V1       bool // its version 1 as well
	Env      bool // the environment, at each start
	Sign     bool // keys of ours, in files and environment, with whose signatures requests come to us
}

// deliveries are the combinations that have been found to work: the delivery that
// an SDK looks for first hides the others from it.
var deliveries = map[string]Delivery{
	"auto":     {Name: "auto", Files: writer.Auto, Endpoint: true},
	"process":  {Name: "process", Files: writer.Process},
	"file":     {Name: "file", Files: writer.File},
	"endpoint": {Name: "endpoint", Files: writer.Endpoint, Endpoint: true},
	"imds":     {Name: "imds", Files: writer.Endpoint, IMDS: true},
	"env":      {Name: "env", Files: writer.Endpoint, Env: true},
	"sign":     {Name: "sign", Files: writer.File, Sign: true},
}

// New checks the settings v and the command argv. It reads no file but the one
// that --policy names, those that a list of profiles is made from (see
// [Settings.ReadList]), and the AWS configuration if a role or a duration is none
// that AWS accepts: another server may be meant. It makes no request.
func New(v *Settings, argv []string) (*Plan, error) {
	if v.keep {
		return newKeep(v)
	}
	p := &Plan{Argv: argv, As: flagAsProfile.of(v), KeepIMDS: flagKeepIMDS.of(v)}
	steps := []func(*Settings) error{p.times, p.profiles, p.many, p.delivery, p.sign, p.shared, p.child, p.sight, p.name}
	for _, step := range steps {
		if err := step(v); err != nil {
			return nil, v.explain(err)
		}
	}
	return p, nil
}

func (p *Plan) delivery(v *Settings) error {
	for _, name := range p.As {
		if name == "" || strings.ContainsAny(name, "[]\r\n") {
			return wrong(flagAsProfile, "a profile name as in [profile NAME]", "%q: not a profile name", name)
		}
	}
	d := flagDeliver.of(v)
	if d == "" {
		d = "auto"
	}
	var ok bool
	if p.Deliver, ok = deliveries[d]; !ok {
		return wrong(flagDeliver, flagDeliver.oneOf(), "%q: no such delivery", d)
	}
	if p.Deliver.V1 = flagIMDSV1.of(v); p.Deliver.V1 && !p.Deliver.IMDS {
		return wrong(flagIMDSV1, "add --deliver imds", "needs --deliver imds")
	}
	return nil
}

func (p *Plan) times(v *Settings) (err error) {
	for _, d := range []struct {
		flag textFlag
		into *time.Duration
	}{
		{flagRefreshBefore, &p.RefreshBefore},
		{flagMinTTL, &p.MinTTL},
		{flagStartTimeout, &p.StartTimeout},
		{flagSourceEndingBefore, &p.EndingBefore},
	} {
		if *d.into, err = duration(v, d.flag); err != nil {
			return err
		}
	}
	return nil
}

// lifetimes refuses times that cannot remain of a session, as far as its lifetime is known.
func (p *Plan) lifetimes(v *Settings) error {
	if p.MinTTL == 0 && p.RefreshBefore == 0 {
		return nil
	}
	sources, err := split(v)
	for _, of := range sources {
		err = cmp.Or(err, of.explain(p.lifetime(of)))
	}
	return err
}

func (p *Plan) lifetime(v *Settings) error {
	lifetime, of := time.Duration(0), ""
	if d := flagDuration.of(v); d != "" {
		lifetime, _ = time.ParseDuration(d)
		of = "a session of --duration " + d
	}
	roles := len(flagRoleARN.of(v))
	if roles == 1 && lifetime == 0 && !v.has(flagTrustAnchorARN) && !otherSTS() {
		lifetime, of = time.Hour, "a session without --duration, 1h"
	}
	if chained := roles > 1; chained && (lifetime == 0 || lifetime > time.Hour) && !otherSTS() {
		lifetime, of = time.Hour, "a session of a chain of roles, at most 1h"
	}
	if lifetime == 0 {
		return nil
	}
	if p.MinTTL >= lifetime {
		return wrong(flagMinTTL, "a longer --duration, or a shorter --min-ttl", "%s: not shorter than %s", flagMinTTL.of(v), of)
	}
	if p.RefreshBefore >= lifetime {
		return wrong(flagRefreshBefore, "leave it out: the default is 30m, and never more than half of a session", "%s: not shorter than %s", flagRefreshBefore.of(v), of)
	}
	return nil
}

// duration reads a length of time. A bare number is refused: it is seconds to
// those who come from the AWS CLI and minutes to those who come from cron.
func duration(v *Settings, flag textFlag) (time.Duration, error) {
	s := flag.of(v)
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		hint := "write it as 90s, 45m or 1h30m"
		if strings.Trim(s, "0123456789") == "" {
			hint = fmt.Sprintf("a number needs its unit: --%s %ss or %sm", flag.Name, s, s)
		}
		return 0, wrong(flag, hint, "%q: not a duration", s)
	}
	if d < 0 {
		return 0, wrong(flag, "", "%q: a duration cannot be negative", s)
	}
	return d, nil
}
