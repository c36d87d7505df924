package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"

	"brs-exec/refresh/plan"
	"brs-exec/refresh/run"
	"brs-exec/writer/rundir"
)

const exitNotRunning = 1

func (p *program) statusCommand() *cli.Command {
	const about = "What brs-exec says"
	var asJSON, check bool
	return &cli.Command{
		Name:        "status",
		Usage:       "say what the running brs-exec processes hold, and what they wait for",
		UsageText:   "brs-exec status [FLAGS] [PID]",
		Description: "Finds the runs of this user whose run directory is in one of the places that a new run would try.\nExit code 1 if there is none, or not that one.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Destination: &asJSON, Category: about, Usage: "print one JSON object per line, times in RFC 3339", DisableDefaultText: true},
			&cli.BoolFlag{Name: "check", Destination: &check, Category: about, Usage: "exit code 1 also if a run holds no credentials that have not expired, for a probe", DisableDefaultText: true},
			cli.HelpFlag,
		},
		HideHelpCommand: true,
		OnUsageError:    usageError,
		Action:          func(c *cli.Context) error { return p.status(c, asJSON, check) },
	}
}

func (p *program) status(c *cli.Context, asJSON, check bool) error {
	const hint = "brs-exec status lists them"
	if err := p.lostFlags(c); err != nil {
		return err
	}
	args := slices.DeleteFunc(c.Args().Slice(), func(word string) bool { // behind the PID
		asJSON, check = asJSON || word == "--json", check || word == "--check"
		return word == "--json" || word == "--check"
	})
	only := 0
	switch {
	case p.dashes:
		return &plan.Error{Text: "status runs no command", Hint: "brs-exec -- COMMAND runs one with fresh credentials"}
	case len(args) > 1:
		return &plan.Error{Text: fmt.Sprintf("%q is one process id too many", args[1]), Hint: hint}
	case len(args) == 1:
		var err error
		if only, err = strconv.Atoi(args[0]); err != nil || only <= 0 {
			return &plan.Error{Text: fmt.Sprintf("%q is no process id", args[0]), Hint: hint}
		}
	}
	records := recordsOf(rundir.Runs(nil), only)
	if len(records) == 0 {
		p.code = exitNotRunning
		which := ""
		if only != 0 {
			which = fmt.Sprintf(" of process id %d", only)
		}
		// Of other users not even root looks: what they say of themselves need not be true.
		p.printf("no brs-exec%s is running as this user", which)
		return nil
	}
	now, out := time.Now(), printable{p.stdout}
	if check && slices.ContainsFunc(records, func(r run.Record) bool { return !alive(r, now) }) {
		p.code = exitNotRunning
	}
	if !asJSON {
		return tabulate(out, records, now)
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, r := range records {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// recordsOf reads what the runs say of themselves, all or one of them. One that
// cannot be read is no reason to be silent about the others.
func recordsOf(runs []rundir.Run, only int) (records []run.Record) {
	for _, found := range runs {
		if only != 0 && only != found.PID {
			continue
		}
		r := run.Record{PID: found.PID}
		if err := json.Unmarshal(found.Status, &r); err != nil && found.Status != nil {
			r = run.Record{Err: "its record cannot be read: " + err.Error()}
		}
		r.PID = found.PID // whatever it says
		records = append(records, r)
	}
	return records
}

// alive tells whether the command has credentials that it can use.
func alive(r run.Record, now time.Time) bool {
	return r.Key != "" && (r.Expires.IsZero() || r.Expires.After(now))
}

// tabulate prints a table, and beneath it what has gone wrong, or is going to.
func tabulate(w io.Writer, records []run.Record, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PID\tCOMMAND\tSINCE\tHOLDS\tEXPIRES IN\tNEXT IN\tREFRESHED\tSTALE\tSOURCE")
	for _, r := range records {
		if r.Command == "" && r.Err != "" {
			fmt.Fprintf(table, "%d\t\t\t\t\t\t\t\t%s\n", r.PID, cell(r.Err))
			continue
		}
		if r.Command == "" { // the run has hardly started
			fmt.Fprintf(table, "%d\t\t\t\t\t\t\t\tstarting\n", r.PID)
			continue
		}
		expires := span(r.Expires, now)
		switch {
		case r.Key == "":
			expires = ""
		case r.Expires.IsZero():
			expires = "never"
		case !r.Expires.After(now):
			expires = "expired"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n",
			r.PID, cell(r.Command), span(now, r.Since), cell(r.Key), expires, span(r.Next, now), r.Refreshed, r.Stale, cell(r.Source))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var more strings.Builder
	for _, r := range records {
		if r.Failed > 0 {
			fmt.Fprintf(&more, "%d: failed %d times: %s\n", r.PID, r.Failed, cell(r.Err))
		}
		if !r.SourceExpiry.IsZero() {
			fmt.Fprintf(&more, "%d: %s expires %s\n", r.PID, cell(r.LivesOn), localTime(r.SourceExpiry))
		}
	}
	_, err := io.WriteString(w, more.String())
	return err
}

// span is the time from b to a to the two units that matter, "" if one of them is
// not known.
func span(a, b time.Time) string {
	d := a.Sub(b).Round(time.Second)
	switch {
	case a.IsZero() || b.IsZero():
		return ""
	case d < 0:
		return "now"
	case d < time.Hour:
		return d.String()
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// cell is s as a cell of a table: what divides cells and lines is quoted.
func cell(s string) string {
	if strings.IndexFunc(s, unicode.IsControl) >= 0 {
		return strconv.Quote(s)
	}
	return s
}
