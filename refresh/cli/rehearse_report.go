package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"brs-exec.example/brs-exec/refresh/rehearsal"
)

// rehearsed is what the report of a rehearsal is made of.
type rehearsed struct {
	rehearsal.Result
	life time.Duration
	sign bool     // --deliver sign: nothing expired
	why  []string // what doctor says of the command, if it was refused
	help []string // command lines that would help it then, the best first
}

// rehearsal draws the report: a table with what was seen, and what that says of the command.
func (d drawing) rehearsal(r rehearsed) (lines []string) {
	title := fmt.Sprintf("rehearsal: %s on credentials that expired after %s", round(r.Ran), round(r.life))
	if r.sign {
		title = fmt.Sprintf("rehearsal: %s on keys that do not expire (--deliver sign)", round(r.Ran))
	}
	lines = d.wrap(title, "  ")
	lines = append(lines, d.rehearsedProfiles(r)...)
	lines = append(lines, d.wrap(r.verdict(), "  ")...)
	if r.Others > 0 {
		lines = append(lines, d.wrap(fmt.Sprintf("%s signed with other credentials, or not signed", count(r.Others, "request was", "requests were")), "  ")...)
	}
	if !r.Refused() {
		return lines
	}
	for _, why := range r.why {
		lines = append(lines, d.wrap("doctor: "+d.one(why), "  ")...)
	}
	for i, line := range r.help {
		lines = append(lines, []string{"what helps: ", "or: "}[min(i, 1)]+line) // in one piece, to be pasted
	}
	return lines
}

// rehearsedProfiles draws a row for each profile: of many those that say most.
func (d drawing) rehearsedProfiles(r rehearsed) (lines []string) {
	list := slices.Clone(r.Profiles)
	if len(list) > fewProfiles {
		slices.SortStableFunc(list, func(a, b rehearsal.Profile) int {
			return cmp.Or(cmp.Compare(b.Verdict, a.Verdict), cmp.Compare(b.Calls, a.Calls))
		})
	}
	shown := list[:min(len(list), mostListed)]
	rows := [][]string{{"PROFILE", "SESSIONS", "CALLS", "REFUSED", "LAST READ"}}
	for _, p := range shown {
		name := cell(p.Name)
		if !d.wide {
			name = cutMiddle(name, nameWidth)
		}
		sessions := fmt.Sprintf("%d of %d", p.Used, p.Delivered)
		if r.sign {
			sessions = "-"
		}
		rows = append(rows, []string{name, sessions, fmt.Sprint(p.Calls), refusals(p), lastReads(p)})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for i, row := range rows {
		line := ""
		for k, c := range row {
			line += pad(c, widths[k]) + "  "
		}
		wrapped := d.wrap(strings.TrimRight(line, " "), "    ")
		if i == 0 {
			wrapped[0] = d.paint(bold, wrapped[0])
		}
		lines = append(lines, wrapped...)
	}
	if more := len(list) - len(shown); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return lines
}

// refusals is what brs-exec refused, and when.
func refusals(p rehearsal.Profile) string {
	var parts []string
	switch {
	case p.Expired == 1:
		parts = append(parts, "1 at "+round(p.First))
	case p.Expired > 1:
		parts = append(parts, fmt.Sprintf("%d, %s to %s", p.Expired, round(p.First), round(p.Last)))
	}
	if p.Late > 0 {
		parts = append(parts, fmt.Sprintf("%d late", p.Late))
	}
	if p.Refused > 0 {
		parts = append(parts, fmt.Sprintf("%d %s", p.Refused, p.Code))
	}
	return cmp.Or(strings.Join(parts, "; "), "none")
}

// lastReads is how the credentials were read last.
func lastReads(p rehearsal.Profile) string {
	var parts []string
	for _, read := range p.Read {
		parts = append(parts, read.By+" at "+round(read.At))
	}
	return cmp.Or(strings.Join(parts, ", "), "-")
}

// verdict is what was shown.
func (r rehearsed) verdict() string {
	var calls, expired, after, late, used int
	var first, last time.Duration
	read := ""
	for _, p := range r.Profiles {
		if p.Expired > 0 && (expired == 0 || p.First < first) {
			first = p.First
		}
		last = max(last, p.Last)
		calls, expired, after, late, used = calls+p.Calls, expired+p.Expired, after+p.After, late+p.Late, used+p.Used
		if len(p.Read) > 0 {
			read = lastReads(p)
		}
	}
	if r.sign && r.Verdict == rehearsal.Short {
		return fmt.Sprintf("survives: %s accepted, and nothing that the command holds expires", count(calls, "call was", "calls were"))
	}
	switch r.Verdict {
	case rehearsal.Survives:
		return fmt.Sprintf("survives: %s accepted after the first of the credentials had expired, and none was refused for that", count(after, "call was", "calls were"))
	case rehearsal.Fails:
		return fmt.Sprintf("does not survive: %d of %s made with credentials that had expired, from %s on", expired, count(calls, "call was", "calls were"), round(first))
	case rehearsal.Recovered:
		when := round(first)
		if expired > 1 {
			when = round(first) + " to " + round(last)
		}
		return fmt.Sprintf("recovers: %d of %s made with credentials that had expired (%s); later ones were accepted", expired, count(calls, "call was", "calls were"), when)
	case rehearsal.TooLate:
		return fmt.Sprintf("not shown: %s refused because brs-exec delivered newer credentials too late; is the machine overloaded, or was it suspended?", count(late, "call was", "calls were"))
	case rehearsal.Short:
		text := "not shown: no call was made after the credentials of an earlier one had expired; "
		if shorter := (r.Ran / 3).Truncate(time.Second); shorter >= 10*time.Second && shorter < r.life {
			return text + fmt.Sprintf("try --life %s, or let the command run longer", round(shorter))
		}
		return text + "let the command run longer"
	}
	hint := ""
	if r.life < demoLonger && !r.sign {
		hint = fmt.Sprintf("; some clients refuse a lifetime of only %s: try --life 2m", round(r.life))
	}
	if read != "" {
		return "not shown: credentials were read (" + read + "), but no call was seen; brs-exec cannot see calls of a program that uses neither HTTPS_PROXY nor AWS_ENDPOINT_URL" + hint
	}
	return "not shown: no call was seen, and nothing that read credentials" + hint
}

// count is a number with its noun.
func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// round is a length of time in whole seconds.
func round(d time.Duration) string {
	s := d.Round(time.Second).String()
	for _, none := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, none) {
			s = strings.TrimSuffix(s, none[1:])
		}
	}
	return s
}
