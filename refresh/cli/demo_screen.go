package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The live screen of the demo fits into a terminal of 80 columns and 24 rows; in one that
// is smaller than these there are lines in its place.
const (
	demoMinWidth, demoMinRows = 60, 22

	demoSessions  = 4  // rows of credentials
	demoCalls     = 12 // rows of calls, where there is room
	demoOtherRows = demoSessions + 7
	demoBarWidth  = 60
)

// What the screen always says; docs/demo.svg is a recording of it, see .ci/tools/record-demo.
const (
	demoTitle, demoAbout = "brs-exec demo", ": a job that outlives its credentials"
	demoHeld, demoLeft   = "CREDENTIALS", "what is left of their lifetime"
	demoWith             = "CALLS WITH brs-exec"
	demoWithout          = "WITHOUT IT: KEYS EXPORTED ONCE"
)

// shown is what has happened in the demo's own run: screen, lines and summary are made of
// this and the time alone.
type shown struct {
	lifetime time.Duration // of credentials
	began    time.Time     // the first call
	sessions []demoSession // in the order in which they were delivered
	calls    []demoCall
}

type demoSession struct {
	key                   string // short
	issued, expires, next time.Time
}

// demoCall is a call of the job, and the same one with the keys exported at the start.
type demoCall struct {
	at            time.Time
	job, exported answer
}

// answer is that to a call. The zero one says that there is none yet.
type answer struct {
	key     string // short
	refused string // AWS's code, "" for ok
}

func (a answer) String() string { return cmp.Or(a.refused, "ok") }

// ink is a piece of a line in one colour.
type ink struct{ colour, text string }

// line puts pieces together, and cuts what is longer than the terminal is wide.
func (d drawing) line(pieces ...ink) string {
	var b strings.Builder
	room := d.width
	for _, p := range pieces {
		if p.text == "" || room <= 0 {
			continue
		}
		text := d.cut(p.text, room)
		room -= utf8.RuneCountInString(text)
		b.WriteString(d.paint(p.colour, text))
	}
	return strings.TrimRight(b.String(), " ")
}

// demo draws what was shown so far, in as many lines at any time.
func (d drawing) demo(s *shown) []string {
	clock := ""
	if !s.began.IsZero() {
		clock = fmt.Sprintf("%v/%v", min(d.now.Sub(s.began), demoLength(s.lifetime)).Truncate(time.Second), demoLength(s.lifetime))
	}
	about := pad(demoAbout, d.width-len(demoTitle)-len(clock))
	left := d.width/2 - 2
	lines := []string{
		d.line(ink{bold, demoTitle}, ink{"", about}, ink{faint, clock}),
		d.line(ink{"", demoWhere(s.lifetime)}),
		"",
		d.line(ink{bold, demoHeld}, ink{faint, "  " + demoLeft}),
	}
	last := lastOf(s.sessions, demoSessions)
	for i := range demoSessions {
		line := ""
		if i < len(last) {
			line = d.demoSession(last[i], i == len(last)-1)
		} else if len(last) == 0 && i == 0 {
			line = d.line(ink{faint, "the first are on their way"})
		}
		lines = append(lines, line)
	}
	lines = append(lines, "", d.line(ink{bold, pad(demoWith, left)}, ink{bold, demoWithout}))
	room := demoCalls
	if d.rows > 0 {
		room = max(min(room, d.rows-demoOtherRows), 1)
	}
	calls := lastOf(s.calls, room)
	for i := range room {
		line := ""
		if i < len(calls) {
			c := calls[i]
			line = d.line(slices.Concat(column(left, ink{faint, c.at.In(d.now.Location()).Format(time.TimeOnly) + "  "}, c.job), column(0, ink{}, c.exported))...)
		}
		lines = append(lines, line)
	}
	jobOK, jobRefused := s.count(func(c demoCall) answer { return c.job })
	ok, refused := s.count(func(c demoCall) answer { return c.exported })
	job, exported := fmt.Sprintf("%d ok", jobOK), fmt.Sprintf("%d ok", ok)
	if jobRefused > 0 {
		job += fmt.Sprintf(", %d refused", jobRefused)
	}
	if refused > 0 {
		exported += fmt.Sprintf(", then %d refused", refused)
	}
	return append(lines, d.line(ink{bold, pad(job, left)}, ink{bold, exported}))
}

func demoWhere(lifetime time.Duration) string {
	return fmt.Sprintf("A simulated AWS on this machine. Its credentials are valid for %v.", lifetime)
}

func lastOf[T any](list []T, n int) []T { return list[max(len(list)-n, 0):] }

// column is a call, padded to a width.
func column(width int, before ink, a answer) []ink {
	if a.key == "" {
		return []ink{before}
	}
	colour := green
	if a.refused != "" {
		colour = yellow
	}
	used := utf8.RuneCountInString(before.text + a.key + "  ")
	return []ink{before, {"", a.key + "  "}, {colour, pad(a.String(), width-used)}}
}

// demoSession draws credentials and what is left of them.
func (d drawing) demoSession(s demoSession, newest bool) string {
	width := max(min(d.width-len("ASIA.0001")-4-len("10s left, next refresh in 10s"), demoBarWidth), 0)
	left := remaining(width, s.issued, s.expires, d.now)
	bar, gone := strings.Repeat("█", left), strings.Repeat("░", width-left)
	text, colour := span(s.expires, d.now)+" left", ""
	switch {
	case !s.expires.After(d.now):
		text, colour = "expired "+span(d.now, s.expires)+" ago", faint
	case newest && !s.next.After(d.now):
		text, colour = text+", refresh under way", green
	case newest:
		text, colour = text+", next refresh in "+span(s.next, d.now), green
	}
	return d.line(ink{"", s.key + "  "}, ink{colour, bar}, ink{faint, gone}, ink{colour, "  " + text})
}

// remaining is as many of width cells as there is left of a lifetime: none only when it is over.
func remaining(width int, issued, expires, now time.Time) int {
	life, left := expires.Sub(issued), expires.Sub(now)
	if life <= 0 || left <= 0 {
		return 0
	}
	return min(int(int64(width)*int64(left)/int64(life))+1, width)
}

// count is how many calls were answered with ok, and how many were refused.
func (s *shown) count(which func(demoCall) answer) (ok, refused int) {
	for _, c := range s.calls {
		switch a := which(c); {
		case a.key == "":
		case a.refused == "":
			ok++
		default:
			refused++
		}
	}
	return ok, refused
}

// summary is what stays on the screen.
func (d drawing) demoSummary(s *shown) (lines []string) {
	ok, refused := s.count(func(c demoCall) answer { return c.job })
	expired := 0
	for _, session := range s.sessions {
		if !session.expires.After(d.now) {
			expired++
		}
	}
	job := "all ok"
	if refused > 0 {
		job = fmt.Sprintf("%d ok, %d refused", ok, refused)
	}
	add := func(indent, format string, args ...any) {
		lines = append(lines, d.wrap(fmt.Sprintf(format, args...), indent)...)
	}
	add("  ", "Shown: %d calls of one job, %s, on %d sessions, %d of which have expired.", ok+refused, job, len(s.sessions), expired)
	ok, refused = s.count(func(c demoCall) answer { return c.exported })
	if refused > 0 {
		add("  ", "The same calls with keys exported at the start: %d ok, then ExpiredToken.", ok)
	}
	add("", "Next:")
	for _, next := range [][2]string{
		{"brs-exec demo -- COMMAND", "your command, here"},
		{"brs-exec doctor -- COMMAND", "what would break it"},
		{"brs-exec --role-arn ARN -- COMMAND", "run it on the real AWS"},
	} {
		add("      ", "  %s  %s", pad(next[0], 34), next[1])
	}
	return lines
}
