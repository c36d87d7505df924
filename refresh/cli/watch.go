package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"brs-exec.example/brs-exec/refresh/plan"
)

const watchEvery = time.Second

// What a terminal does; ECMA-48. Nothing here outlasts this program, however that ends: the
// cursor stays visible, and there is no other screen to come back from.
const home, clearLine, clearBelow = "\x1b[H", "\x1b[K", "\x1b[J"

// watch draws the runs each second, in place, until a signal ends it.
func (p *program) watch(word string, wide bool) error {
	if _, _, terminal := terminalSize(); !terminal {
		return &plan.Error{Text: "--watch needs a terminal", Hint: "brs-exec status --json, each time you want to know"}
	}
	p.signals.AtEnd(func() { fmt.Fprintln(p.stdout) })
	if _, err := fmt.Fprint(p.stdout, home+clearBelow); err != nil {
		return err
	}
	tick := time.NewTicker(watchEvery)
	for ; ; <-tick.C {
		all := seenRuns(word, watchEvery)
		terminal, err := p.redraw(func(d drawing) []string {
			d.wide = wide
			return d.watched(all, word)
		})
		if err != nil || !terminal {
			return err
		}
	}
}

func (d drawing) watched(all []seenRun, word string) []string {
	lines := []string{"brs-exec status " + d.now.Local().Format(time.TimeOnly) + ", each second until Ctrl-C"}
	runs := which(all, word)
	if len(runs) == 0 {
		lines = append(lines, d.wrap(d.one(noneSuch(all, word)), "  ")...)
	}
	return append(lines, strings.Split(strings.TrimSuffix(d.runs(runs), "\n"), "\n")...)
}

// redraw puts lines in the place of those before, on the terminal as it is now.
func (p *program) redraw(lines func(drawing) []string) (terminal bool, err error) {
	width, rows, terminal := terminalSize()
	if !terminal {
		return false, nil
	}
	d := drawing{now: time.Now(), width: width, rows: rows, colour: mayColour()}
	_, err = io.WriteString(p.stdout, frame(lines(d), rows))
	return true, err
}

// screenAllowed tells whether a terminal takes what a frame is made of.
func screenAllowed() bool { return os.Getenv("TERM") != "dumb" }

// frame is what one write puts in the place of the frame before it. It has no more rows
// than the terminal, and no line end below the last one, which would move all.
func frame(lines []string, rows int) string {
	if rows > 1 && len(lines) > rows {
		more := len(lines) - rows + 1
		lines = append(lines[:rows-1:rows-1], fmt.Sprintf("and %d lines more, for which there is no room", more))
	}
	return home + strings.Join(lines, clearLine+"\r\n") + clearLine + clearBelow
}
