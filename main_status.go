package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"brs-exec/refresh/plan"
	"brs-exec/writer"
)

const exitNotRunning = 1

func (p *program) statusCommand() *cli.Command {
	return &cli.Command{
		Name:            "status",
		Usage:           "say what the running brs-exec processes hold, and what they wait for",
		UsageText:       "brs-exec status [FLAGS] [PID]",
		Description:     "Tells of those of this user whose run directories are where a new one would have its own.\nExit code 1 if there is none, or not that one.",
		Flags:           []cli.Flag{truth(aboutOutput, "json", "print one JSON object per line, times in RFC 3339"), cli.HelpFlag},
		HideHelpCommand: true,
		OnUsageError:    usageError,
		Action:          p.status,
	}
}

func (p *program) status(c *cli.Context) error {
	const hint = "brs-exec status lists them"
	only := 0
	switch first := c.Args().First(); {
	case p.dashes:
		return &plan.Error{Text: "status runs no command", Hint: "brs-exec -- COMMAND runs one with fresh credentials"}
	case c.NArg() > 1:
		return &plan.Error{Text: fmt.Sprintf("%q is one process id too many", c.Args().Get(1)), Hint: hint}
	case first != "":
		var err error
		if only, err = strconv.Atoi(first); err != nil || only <= 0 {
			return &plan.Error{Text: fmt.Sprintf("%q is no process id", first), Hint: hint}
		}
	}
	var records []record
	for _, run := range writer.Runs() {
		r := record{PID: run.PID}
		if run.Status != nil {
			if err := json.Unmarshal(run.Status, &r); err != nil {
				return fmt.Errorf("status of brs-exec %d: %w", run.PID, err)
			}
		}
		if only == 0 || only == r.PID {
			records = append(records, r)
		}
	}
	switch {
	case len(records) == 0:
		p.code = exitNotRunning
		which := ""
		if only != 0 {
			which = fmt.Sprintf(" of process id %d", only)
		}
		fmt.Fprintf(p.stderr, "brs-exec: no brs-exec%s is running\n", which)
		return nil
	case c.Bool("json"):
		enc := json.NewEncoder(p.stdout)
		enc.SetEscapeHTML(false)
		for _, r := range records {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	return tabulate(p.stdout, records, time.Now())
}

// tabulate prints a table, and beneath it what has gone wrong, or is going to.
func tabulate(w io.Writer, records []record, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PID\tCOMMAND\tSINCE\tHOLDS\tENDS IN\tNEXT IN\tREFRESHED\tSTALE\tSOURCE")
	for _, r := range records {
		if r.Command == "" { // it has hardly begun
			fmt.Fprintf(table, "%d\t\t\t\t\t\t\t\tstarting\n", r.PID)
			continue
		}
		ends := span(r.Expires, now)
		switch {
		case r.Key == "":
			ends = ""
		case r.Expires.IsZero():
			ends = "never"
		case !r.Expires.After(now):
			ends = "ended"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n",
			r.PID, printable(r.Command), span(now, r.Since), r.Key, ends, span(r.Next, now), r.Refreshed, r.Stale, printable(r.Source))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var more strings.Builder
	for _, r := range records {
		if r.Failed > 0 {
			fmt.Fprintf(&more, "%d: failed %d times: %s\n", r.PID, r.Failed, printable(r.Err))
		}
		if !r.Ends.IsZero() {
			fmt.Fprintf(&more, "%d: %s ends %s\n", r.PID, printable(r.Lives), r.Ends.Format(time.RFC3339))
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

// printable is s as a cell of a table and a line of a terminal: a command may be
// named in any bytes.
func printable(s string) string {
	for _, c := range s {
		if !strconv.IsPrint(c) {
			return strconv.Quote(s)
		}
	}
	return s
}
