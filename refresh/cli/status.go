package cli

import (
	"encoding/json"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/control"
	"brs-exec.example/brs-exec/refresh/plan"
)

const exitNotRunning = 3

// statusFlags are those of status.
type statusFlags struct{ json, check, ready, wide, watch bool }

func (p *program) statusCommand() *cli.Command {
	const about = "What is shown"
	flag := func(name, usage string) cli.Flag {
		return newFlag(&plan.Flag{Name: name, About: about, Usage: usage, Boolean: true})
	}
	return &cli.Command{
		Name:      "status",
		Usage:     "show the running brs-exec processes and their credentials",
		UsageText: "brs-exec status [FLAGS] [PID|NAME]",
		Description: "Asks the runs of this user whose run directory is in one of the places that a new run would try;\nroot (Linux) asks those of all users. " +
			"Exit code 3 if none is running, or\nnot PID or NAME. The bar is the lifetime of the credentials: = has passed, | is now, ^ is the next refresh.",
		Flags: []cli.Flag{
			flag("wide", "whole key ids, and all profiles of a run with many"),
			flag("watch", "show it again each second, until Ctrl-C"),
			flag("json", "print one JSON object per run and line, times in RFC 3339; see docs/status.md"),
			flag("check", "exit code for a probe: 1 if a refresh or a delivery fails, or a client is stale; 2 if fewer profiles than --require asks for have credentials that are valid, or a run does not answer"),
			flag("ready", "exit code for a probe as Kubernetes has it: 0 in place of --check's 1"),
		},
		OnUsageError: p.usageError,
		Action: func(c *cli.Context) error {
			return p.status(c, statusFlags{json: c.Bool("json"), check: c.Bool("check"), ready: c.Bool("ready"), wide: c.Bool("wide"), watch: c.Bool("watch")})
		},
	}
}

func (p *program) status(c *cli.Context, f statusFlags) error {
	if err := p.lostFlags(c); err != nil {
		return err
	}
	word, err := oneWord("status", c.Args().Slice(), p.dashes)
	switch {
	case err != nil:
		return err
	case f.watch && (f.json || f.check || f.ready):
		return &plan.Error{Text: "--watch is for people, and goes with none of --json, --check and --ready", Hint: "leave one of them out"}
	case f.check && f.ready:
		return &plan.Error{Text: "--check and --ready judge differently of credentials that are valid, but fail to be refreshed", Hint: "leave one of them out"}
	case f.watch:
		return p.watch(word, f.wide)
	}
	all := seenRuns(word, askTime)
	runs := which(all, word)
	if len(runs) == 0 {
		p.code = exitNotRunning
		p.printf("%s", noneSuch(all, word))
		return nil
	}
	now := time.Now()
	if f.check || f.ready {
		if word != "" {
			runs = ownFirst(runs)
		}
		for _, s := range runs {
			if h := s.health(now); h == expired || f.check {
				p.code = max(p.code, int(h))
			}
		}
	}
	if f.json {
		return printJSON(printable{p.stdout}, runs, now)
	}
	width, _, terminal := terminalSize()
	if !terminal {
		width = defaultWidth
	}
	d := drawing{now: now, width: width, wide: f.wide, colour: terminal && mayColour()}
	_, err = io.WriteString(p.stdout, d.runs(runs))
	return err
}

// health is how credentials are, the worst last: the exit code of --check, and of --ready
// but for failing.
type health int

const (
	fresh   health = iota
	failing        // a refresh or a delivery fails, or a client is stale: there is still time
	expired        // or there are none
)

func (h health) String() string { return [...]string{"fresh", "failing", "expired"}[h] }

// overdue is how late a refresh is that must have been kept from being tried.
const overdue = 2 * time.Minute

// healthOf is how the credentials of a profile are.
func healthOf(p control.Profile, now time.Time) health {
	switch {
	case p.KeyID == "", !p.Expires.IsZero() && !p.Expires.After(now):
		return expired
	case p.Failed > 0, p.StaleNow, !p.Next.IsZero() && now.Sub(p.Next) > overdue:
		return failing
	}
	return fresh
}

// health is the worst of the run's profiles; but as long as as many as the run requires have
// credentials, what others lack is no more than a failure, as for /readyz. Of a run that does
// not answer nobody can say that its credentials work.
func (s seenRun) health(now time.Time) health {
	if s.err != nil {
		return expired
	}
	worst := fresh
	if s.record.Hangs || s.record.DeliveryFailed > 0 {
		worst = failing
	}
	usable := 0
	for _, p := range s.record.Profiles {
		h := healthOf(p, now)
		worst = max(worst, h)
		if h != expired {
			usable++
		}
	}
	if required := s.record.Require; required > 0 && usable >= required {
		worst = min(worst, failing)
	}
	return worst
}

// jsonRun is a line of --json.
type jsonRun struct {
	control.Record
	Health   string        `json:"health"`
	User     string        `json:"user,omitempty"`    // another one's run
	Problem  string        `json:"problem,omitempty"` // why it does not answer
	Profiles []jsonProfile `json:"profiles"`
	*onlyProfile
}

type jsonProfile struct {
	control.Profile
	Health string `json:"health"`
}

// onlyProfile is what lines had before there were runs of many profiles, and have still
// where there is one.
type onlyProfile struct {
	Source       string    `json:"source,omitempty"`
	Key          string    `json:"key,omitempty"`
	Expires      time.Time `json:"expires,omitzero"`
	Next         time.Time `json:"next,omitzero"`
	Refreshed    int       `json:"refreshed"`
	Failed       int       `json:"failed"`
	Err          string    `json:"error,omitempty"`
	Permanent    bool      `json:"permanent,omitempty"`
	Stale        int       `json:"stale"`
	LivesOn      string    `json:"livesOn,omitempty"`
	SourceExpiry time.Time `json:"ends,omitzero"`
}

func onlyOf(r control.Record) *onlyProfile {
	if len(r.Profiles) != 1 {
		return nil
	}
	p := r.Profiles[0]
	only := &onlyProfile{
		Source: p.Source, Key: shortKey(p.KeyID), Expires: p.Expires, Next: p.Next, Refreshed: p.Refreshed, Failed: p.Failed, Err: p.Err,
		Permanent: p.Permanent, Stale: p.Stale, LivesOn: p.LivesOn, SourceExpiry: p.SourceExpiry,
	}
	if r.DeliveryFailed > 0 {
		only.Failed, only.Err = r.DeliveryFailed, r.DeliveryErr
	}
	return only
}

// Of a run that says nothing.
const (
	silent = "silent"
	begins = control.Starting
)

func printJSON(w io.Writer, runs []seenRun, now time.Time) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, s := range runs {
		line := jsonRun{Record: s.record, Health: s.health(now).String(), User: s.userName(), Profiles: []jsonProfile{}, onlyProfile: onlyOf(s.record)}
		line.Version = control.Version
		switch {
		case s.begins():
			line.State = begins
		case s.err != nil:
			line.State, line.Problem = silent, plan.OneLine(s.err.Error())
		}
		for _, p := range s.record.Profiles {
			line.Profiles = append(line.Profiles, jsonProfile{p, healthOf(p, now).String()})
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// shortKey keeps of an access key id what tells keys apart.
func shortKey(id string) string {
	if id == "" {
		return ""
	}
	return refresh.ShortKeyID(id)
}
