//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// table is what one measurement has found.
type table struct {
	name  string // of the measurement, or of one of its tables
	title string
	how   string // what a figure is
	head  []string
	rows  [][]string
	aims  []goal
}

// goal is what one figure should be.
type goal struct{ what, aim, now string }

// report has all that was found in a run.
type report struct{ tables []table }

func (r *report) add(t table) {
	r.tables = append(r.tables, t)
	t.print(os.Stdout)
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) aim(what, aim, now string) { t.aims = append(t.aims, goal{what, aim, now}) }

// print writes the table as it is read in a terminal.
func (t table) print(w io.Writer) {
	fmt.Fprintf(w, "%s (%s)\n", t.title, t.how)
	columns := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(columns, "  \t%s\n", strings.Join(t.head[1:], "\t"))
	for _, cells := range t.rows {
		fmt.Fprintf(columns, "  %s\n", strings.Join(cells, "\t"))
	}
	columns.Flush()
	for _, a := range t.aims {
		fmt.Fprintf(w, "  %s: %s; aim %s\n", a.what, a.now, a.aim)
	}
	fmt.Fprintln(w)
}

// markdown is the table as it stands in a page.
func markdown(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(head)
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---"
		if len(rows) > 0 && rows[len(rows)-1][i] != "" && strings.ContainsRune("0123456789", rune(rows[len(rows)-1][i][0])) {
			rule[i] = "---:" // figures
		}
	}
	line(rule)
	for _, cells := range rows {
		line(cells)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
