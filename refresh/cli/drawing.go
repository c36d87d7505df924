package cli

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"brs-exec.example/brs-exec/refresh/control"
)

const (
	defaultWidth = 80
	minWidth     = 40
	barWidth     = 16
	nameWidth    = 24
	fewProfiles  = 3  // have all their lines
	mostListed   = 10 // of the profiles of a run with many

	maxText, maxCell = 4000, 200 // bytes of what a run says
)

// drawing draws runs for a person. What comes from a run is not believed to be fit for a
// terminal.
type drawing struct {
	now    time.Time
	width  int // of a line
	rows   int // of the terminal; 0 is without a limit
	wide   bool
	colour bool
}

// mayColour tells whether a terminal is to get colours; see no-color.org.
func mayColour() bool { return os.Getenv("NO_COLOR") == "" && screenAllowed() }

// The colours of what is no longer fresh, and of names; the demo has more of them.
const (
	bold   = "1"
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (d drawing) paint(colour, text string) string {
	if !d.colour || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func colourOf(h health) string { return [...]string{"", yellow, red}[h] }

// runs draws all of them.
func (d drawing) runs(runs []seenRun) string {
	var b strings.Builder
	for _, s := range runs {
		for _, line := range d.run(s) {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// run draws one, in lines.
func (d drawing) run(s seenRun) (lines []string) {
	name, pid := "", strconv.Itoa(s.PID)
	if s.record.Name != "" {
		name, pid = d.cut(cell(s.record.Name), d.width/2), " ("+pid+")"
	}
	if user := s.userName(); user != "" {
		pid += " of " + user
	}
	lines = d.wrap(name+pid+": "+d.state(s), "    ")
	lines[0] = d.paint(bold, name) + strings.TrimPrefix(lines[0], name)
	if s.err != nil {
		return lines
	}
	if s.record.DeliveryFailed > 0 {
		lines = append(lines, d.note(failing, fmt.Sprintf("could not be written %s: %s", times(s.record.DeliveryFailed), s.record.DeliveryErr))...)
	}
	lines = append(lines, d.profiles(s.record.Profiles)...)
	if s.record.Deliver == "sign" {
		text := fmt.Sprintf("  signs the command's requests: %d", s.record.Requests)
		if refused := s.record.Refused; refused > 0 {
			text += fmt.Sprintf(", %d refused", refused)
		}
		lines = append(lines, d.wrap(text, "    ")...)
	}
	return lines
}

// state says what the command does.
func (d drawing) state(s seenRun) string {
	r := s.record
	text := ""
	switch {
	case s.begins():
		return "has just begun, or has no control socket where its run directory is"
	case s.err != nil:
		return d.one(s.err.Error())
	case r.State == control.Starting:
		text = "waits for the first credentials"
	case r.State == control.Keeping:
		text = "keeps credentials, without a command, for " + span(d.now, r.Began)
	case r.State == control.Running:
		text = fmt.Sprintf("running for %s, child %d", span(d.now, r.Since), r.Child)
	case r.State == control.Stopped:
		text = fmt.Sprintf("stopped by a signal, child %d", r.Child)
	case r.State == control.Stopping:
		text = fmt.Sprintf("told to end, child %d", r.Child)
	case r.State == control.Restarting:
		text = fmt.Sprintf("ended (%s), starts again in %s", d.one(r.Exit), span(r.Again, d.now))
	case r.State == control.Ended:
		text = "ended, " + d.one(r.Exit)
	default:
		text = d.one(r.State)
	}
	if r.Starts > 1 && r.State != control.Restarting {
		text += fmt.Sprintf("; started %s, last %s", times(r.Starts), d.one(r.Exit))
	}
	if r.Hangs {
		text += "; its refreshing does not respond"
	}
	return text
}

// profiles draws those of a run: all of a few, and of many how they are, with those that need
// a look and the next to be refreshed.
func (d drawing) profiles(list []control.Profile) (lines []string) {
	if len(list) <= fewProfiles || d.wide {
		width := d.nameColumn(list)
		for _, p := range list {
			lines = append(lines, d.profile(p, width, true)...)
		}
		return lines
	}
	var troubled []control.Profile
	counts := map[string]int{}
	next := control.Profile{}
	for _, p := range list {
		h := healthOf(p, d.now)
		counts[condition(p, h)]++
		if h != fresh {
			troubled = append(troubled, p)
		}
		if !p.Next.IsZero() && (next.Next.IsZero() || p.Next.Before(next.Next)) {
			next = p
		}
	}
	summary := ""
	for _, c := range conditions {
		if n := counts[c]; n > 0 {
			summary += fmt.Sprintf(", %d %s", n, c)
		}
	}
	lines = d.wrap(fmt.Sprintf("  %d profiles: %s", len(list), strings.TrimPrefix(summary, ", ")), "    ")
	slices.SortStableFunc(troubled, func(a, b control.Profile) int { return int(healthOf(b, d.now)) - int(healthOf(a, d.now)) })
	shown := troubled[:min(len(troubled), mostListed)]
	width := d.nameColumn(append(shown[:len(shown):len(shown)], next))
	for _, p := range shown {
		lines = append(lines, d.profile(p, width, false)...)
	}
	if more := len(troubled) - len(shown); more > 0 {
		lines = append(lines, d.wrap(fmt.Sprintf("  and %d more that are not fresh; --wide lists all", more), "    ")...)
	}
	if healthOf(next, d.now) == fresh {
		lines = append(lines, d.profile(next, width, false)...)
	}
	return lines
}

// conditions are those that the profiles of a run are counted by.
var conditions = []string{"fresh", "failing", "expired", "without credentials yet"}

func condition(p control.Profile, h health) string {
	if p.KeyID == "" {
		return "without credentials yet"
	}
	return h.String()
}

// nameColumn is how wide the longest name is.
func (d drawing) nameColumn(list []control.Profile) (width int) {
	for _, p := range list {
		width = max(width, utf8.RuneCountInString(cell(p.Name)))
	}
	if !d.wide {
		width = min(width, nameWidth, max(d.width-56, 8))
	}
	return width
}

// profile draws one: a line, and with all what is known of it, or else of its failures.
func (d drawing) profile(p control.Profile, nameColumn int, all bool) (lines []string) {
	h := healthOf(p, d.now)
	key := cell(p.KeyID)
	if !d.wide {
		key = cell(shortKey(p.KeyID))
	}
	name := cell(p.Name)
	if !d.wide {
		name = cutMiddle(name, nameColumn)
	}
	cells := []string{pad(name, nameColumn)}
	if key != "" {
		cells = append(cells, key)
	}
	if b := bar(barWidth, p.Issued, p.Expires, p.Next, d.now); b != "" && d.width >= 60 {
		cells = append(cells, b)
	}
	cells = append(cells, d.times(p))
	row := []string{strings.TrimRight("  "+strings.Join(cells, "  "), " ")}
	if !d.wide {
		row = d.wrap(row[0], "    ")
	}
	for _, line := range row {
		lines = append(lines, d.paint(colourOf(h), line))
	}
	if all {
		lines = append(lines, d.detail("from "+p.Source)...)
		if p.Identity != "" {
			lines = append(lines, d.detail("as "+p.Identity)...)
		}
	}
	if p.Failed > 0 {
		text := fmt.Sprintf("failed %s", times(p.Failed))
		if p.Failures > p.Failed {
			text += fmt.Sprintf(" in a row, %d in all", p.Failures)
		}
		if ago := span(d.now, p.FailedAt); ago != "" {
			text += ", last " + ago + " ago"
		}
		lines = append(lines, d.note(h, text+": "+p.Err)...)
		if p.Hint != "" {
			lines = append(lines, d.detail("hint: "+p.Hint)...)
		}
		if p.RequestID != "" {
			lines = append(lines, d.detail("request id: "+p.RequestID)...)
		}
	}
	if p.Stale > 0 && (all || p.StaleNow) {
		text := fmt.Sprintf("no client had read newer credentials in time %s", times(p.Stale))
		if p.StaleNow {
			text += ", and none has yet"
		}
		lines = append(lines, d.detail(text)...)
	}
	if all && !p.SourceExpiry.IsZero() {
		lines = append(lines, d.detail(fmt.Sprintf("%s expires %s", p.LivesOn, localTime(p.SourceExpiry)))...)
	}
	return lines
}

// times says how long credentials last, and when newer ones are retrieved.
func (d drawing) times(p control.Profile) string {
	text, next := "", span(p.Next, d.now)
	switch {
	case p.KeyID == "":
		text = "no credentials yet"
	case p.Expires.IsZero():
		text = "no expiry"
	case !p.Expires.After(d.now):
		text = "expired " + span(d.now, p.Expires) + " ago"
	default:
		text = span(p.Expires, d.now) + " left"
	}
	if next != "" {
		text += ", next " + next
	}
	return text
}

// detail draws a line below a profile, and note one that is to be seen.
func (d drawing) detail(text string) []string {
	return d.wrap("    "+d.one(text), "      ")
}

func (d drawing) note(h health, text string) (lines []string) {
	for _, line := range d.detail(text) {
		lines = append(lines, d.paint(colourOf(h), line))
	}
	return lines
}

// one is text of others in one line, and not more than a person reads.
func (d drawing) one(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	text = string(escape([]byte(text)))
	return strings.Join(strings.Fields(text), " ")
}

// wrap breaks a line that is longer than the terminal is wide, between words if it can. What
// follows is indented.
func (d drawing) wrap(line, indent string) (lines []string) {
	width := max(d.width, minWidth)
	for utf8.RuneCountInString(line) > width {
		head := string([]rune(line)[:width])
		at := strings.LastIndex(head, " ")
		if strings.TrimSpace(head[:max(at, 0)]) == "" || at < len(indent)+width/3 {
			at = len(head)
		}
		lines = append(lines, strings.TrimRight(line[:at], " "))
		line = indent + strings.TrimLeft(line[at:], " ")
	}
	return append(lines, line)
}

// cut shortens what is longer.
func (d drawing) cut(s string, width int) string {
	if runes := []rune(s); len(runes) > width {
		return string(runes[:max(width-1, 0)]) + "…"
	}
	return s
}

// cutMiddle shortens what is longer, and keeps the end: names of many profiles begin alike.
func cutMiddle(s string, width int) string {
	runes := []rune(s)
	if len(runes) <= width {
		return s
	}
	tail := width / 2
	return string(runes[:max(width-tail-1, 0)]) + "…" + string(runes[len(runes)-tail:])
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

// bar draws the lifetime of credentials: what is over of it, now, and the next refresh. It is
// "" of those without an expiry.
func bar(width int, issued, expires, next, now time.Time) string {
	life := expires.Sub(issued)
	if issued.IsZero() || expires.IsZero() || life <= 0 {
		return ""
	}
	at := func(t time.Time) int {
		return min(max(int(int64(width)*int64(t.Sub(issued)/time.Millisecond)/max(int64(life/time.Millisecond), 1)), 0), width-1)
	}
	cells := []byte(strings.Repeat("-", width))
	for i := range at(now) {
		cells[i] = '='
	}
	if next.After(now) && next.Before(expires) {
		cells[at(next)] = '^'
	}
	if cells[at(now)] = '|'; !expires.After(now) {
		cells[width-1] = 'X'
	}
	return "[" + string(cells) + "]"
}

// times is how often something was.
func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
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
	case d < 10*time.Minute:
		return d.String()
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// cell is s as a cell of a table: what divides cells and lines is quoted.
func cell(s string) string {
	if len(s) > maxCell {
		s = strings.ToValidUTF8(s[:maxCell], "") + "…"
	}
	if strings.IndexFunc(s, unicode.IsControl) >= 0 {
		s = strconv.Quote(s)
	}
	return string(escape([]byte(s)))
}
