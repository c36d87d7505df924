package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/control"
	"brs-exec.example/brs-exec/refresh/plan"
)

const (
	exitNotRefreshed = 1

	// refreshTimeout is what a source may take, and a delivery after it.
	refreshTimeout = 2 * time.Minute

	// beginTime is how long a run that has just begun is waited for, until it can be asked.
	beginTime = 2 * time.Second
)

func (p *program) refreshCommand() *cli.Command {
	const about = "What is refreshed"
	var profiles []string
	profile := newFlag(&plan.Flag{Name: "profile", About: about, Value: "NAME", Usage: "profile NAME of a run with many (may be repeated; default: all of them)"})
	profile.parse = func(name string) error {
		profiles = append(profiles, strings.TrimSpace(name))
		return nil
	}
	timeout := refreshTimeout
	wait := newFlag(&plan.Flag{Name: "timeout", About: about, Value: "DURATION", Default: "2m", Usage: "how long to wait, a DURATION; the run itself goes on trying"})
	wait.parse = func(text string) (err error) {
		timeout, err = time.ParseDuration(text)
		return err
	}
	return &cli.Command{
		Name:         "refresh",
		Usage:        "have a running brs-exec refresh now",
		UsageText:    "brs-exec refresh [FLAGS] [PID|NAME]",
		Description:  "Returns when the new credentials are delivered (exit code 0), or when it is known why not (1). PID and\nNAME are those that status shows. Without them the only run refreshes. Exit code 3 if there is none.",
		Flags:        []cli.Flag{profile, wait},
		OnUsageError: p.usageError,
		Action:       func(c *cli.Context) error { return p.refresh(c, profiles, timeout) },
	}
}

func (p *program) refresh(c *cli.Context, profiles []string, timeout time.Duration) error {
	if err := p.lostFlags(c); err != nil {
		return err
	}
	word, err := oneWord("refresh", c.Args().Slice(), p.dashes)
	if err != nil {
		return err
	}
	if timeout <= 0 {
		return &plan.Error{Flag: "timeout", Text: "must be longer than nothing", Hint: "as in --timeout 90s"}
	}
	all := seenRuns(word, askTime)
	for end := time.Now().Add(beginTime); slices.ContainsFunc(all, seenRun.begins) && time.Now().Before(end); {
		time.Sleep(beginTime / 20)
		all = seenRuns(word, askTime)
	}
	runs := ownFirst(which(all, word))
	switch {
	case len(runs) == 0:
		p.code = exitNotRunning
		p.printf("%s", noneSuch(all, word))
		return nil
	case len(runs) > 1:
		var names []string
		for _, s := range runs {
			names = append(names, s.called())
		}
		return &plan.Error{Text: fmt.Sprintf("there are %d runs: %s", len(runs), strings.Join(names, ", ")), Hint: "say which: brs-exec refresh PID"}
	}
	s := runs[0]
	if s.err == nil {
		p.report(s, profiles, timeout)
		return nil
	}
	p.code = exitNotRefreshed
	p.printError(fmt.Errorf("process %s: %w", s.called(), s.err), p.code)
	return nil
}

// report asks for a refresh, and says what became of it.
func (p *program) report(s seenRun, names []string, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	a, err := control.Ask(ctx, s.Dir, s.UID, control.Request{Do: control.Refresh, Profiles: names})
	if errors.Is(err, control.ErrSilent) {
		err = &plan.Error{Text: fmt.Sprintf("the refresh has taken more than %v", timeout), Hint: "the run goes on trying: brs-exec status " + fmt.Sprint(s.PID)}
	}
	if err == nil && a.Error != "" {
		err = &plan.Error{Text: a.Error, Hint: a.Hint}
	}
	if a.Record != nil {
		fmt.Fprint(printable{p.stdout}, refreshed(a.Record.Profiles, s.record.Profiles, time.Now()))
	}
	if err != nil {
		p.code = exitNotRefreshed
		p.printError(err, p.code)
	}
}

// refreshed says what profiles hold now that they held something else before; of many, how
// many they are.
func refreshed(now, before []control.Profile, at time.Time) string {
	var text strings.Builder
	count := 0
	for _, p := range now {
		if p.Failed > 0 || p.KeyID == "" {
			if len(now) > 1 {
				fmt.Fprintf(&text, "%s: failed: %s\n", cell(p.Name), plan.OneLine(p.Err))
			}
			continue
		}
		if count++; len(now) > mostListed {
			continue
		}
		same := ""
		if slices.ContainsFunc(before, func(b control.Profile) bool {
			return b.Name == p.Name && b.KeyID == p.KeyID && b.Expires.Equal(p.Expires)
		}) {
			same = "the same as before, "
		}
		until := "no expiry"
		if !p.Expires.IsZero() {
			until = fmt.Sprintf("until %s (%s)", localTime(p.Expires), span(p.Expires, at))
		}
		fmt.Fprintf(&text, "%s: %s, %s%s\n", cell(p.Name), shortKey(p.KeyID), same, until)
	}
	if len(now) > mostListed {
		fmt.Fprintf(&text, "%d of %d profiles are refreshed\n", count, len(now))
	}
	return text.String()
}
