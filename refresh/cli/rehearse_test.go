package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/refresh/rehearsal"
)

// TestRehearsalReport: what is said at the end of a rehearsal, in three widths.
func TestRehearsalReport(t *testing.T) {
	const second = time.Second
	of := func(name string, v rehearsal.Verdict, calls int, change func(p *rehearsal.Profile)) rehearsal.Profile {
		p := rehearsal.Profile{Name: name, Delivered: 9, Verdict: v, Calls: calls, Used: min(calls, 5)}
		if change != nil {
			change(&p)
		}
		return p
	}
	read := func(by string, at time.Duration) func(*rehearsal.Profile) {
		return func(p *rehearsal.Profile) { p.Read = append(p.Read, rehearsal.Read{By: by, At: at}) }
	}
	report := func(life time.Duration, others int, list ...rehearsal.Profile) rehearsed {
		r := rehearsed{life: life, Result: rehearsal.Result{Ran: 94*second + 600*time.Millisecond, Profiles: list, Others: others}}
		for _, p := range list {
			r.Verdict = max(r.Verdict, p.Verdict)
		}
		return r
	}
	survives := func(p *rehearsal.Profile) { p.After = 71; read("process", 86*second)(p) }
	fails := func(p *rehearsal.Profile) {
		p.Used, p.Expired, p.First, p.Last = 1, 28, 21*second, 94*second
		read("endpoint", 0)(p)
	}
	withHelp := func(r rehearsed) rehearsed {
		r.why = []string{"s3cmd 2.3.0 takes credentials from the keys in its environment once, and fails when they expire [/usr/bin/s3cmd]"}
		r.help = []string{"brs-exec --deliver sign -- s3cmd sync data s3://backup", "brs-exec --deliver env --on-refresh restart -- s3cmd sync data s3://backup"}
		return r
	}
	inSign := report(time.Minute, 0, of("prod", rehearsal.Short, 12, nil))
	inSign.sign = true
	unused := report(time.Minute, 0, of("prod", rehearsal.NoCall, 0, nil))
	unused.sign = true
	var many []rehearsal.Profile
	for i := range 40 {
		v, calls, change := rehearsal.NoCall, 0, (func(*rehearsal.Profile))(nil)
		switch {
		case i == 17:
			v, calls, change = rehearsal.Fails, 40, fails
		case i%4 == 0:
			v, calls, change = rehearsal.Survives, 95+i, survives
		}
		many = append(many, of(fmt.Sprintf("account-%03d-of-the-organisation-administrator", i), v, calls, change))
	}
	reports := []struct {
		name string
		r    rehearsed
	}{
		{"survives", report(20*second, 0, of("brs-exec", rehearsal.Survives, 95, survives))},
		{"a copy", withHelp(report(20*second, 0, of("brs-exec", rehearsal.Fails, 40, fails)))},
		{"one call refused", report(time.Minute, 1, of("brs-exec", rehearsal.Recovered, 40, func(p *rehearsal.Profile) {
			p.Expired, p.First, p.Last, p.After = 1, 61*second, 61*second, 20
		}))},
		{"no call after an expiry", report(time.Minute, 0, of("prod", rehearsal.Short, 1, read("file", 1*second)))},
		{"a short run", report(10*second, 0, of("prod", rehearsal.Short, 1, read("file", 1*second)))},
		{"no call, but read", report(20*second, 3, of("prod", rehearsal.NoCall, 0, func(p *rehearsal.Profile) {
			read("endpoint", 1*second)(p)
			read("process", 2*second)(p)
		}))},
		{"nothing", report(3*time.Minute, 0, of("prod", rehearsal.NoCall, 0, nil))},
		{"too late", report(20*second, 0, of("prod", rehearsal.TooLate, 12, func(p *rehearsal.Profile) { p.Late = 1 }))},
		{"other refusals", report(20*second, 0, of("prod", rehearsal.Survives, 12, func(p *rehearsal.Profile) { p.Refused, p.Code, p.After = 2, "AccessDenied", 1 }))},
		{"--deliver sign", inSign},
		{"--deliver sign, and no call", unused},
		{"many", report(20*second, 0, many...)},
		{"a name that is none", report(20*second, 0, of("a\x1b[31m\nb", rehearsal.Survives, 95, survives))},
	}
	for _, width := range []int{60, 80, 120} {
		var b strings.Builder
		for _, tt := range reports {
			lines := drawing{width: width}.rehearsal(tt.r)
			fits(t, lines[:len(lines)-len(tt.r.help)], width, 0)
			b.WriteString("== " + tt.name + "\n" + strings.Join(lines, "\n") + "\n")
		}
		golden(t, fmt.Sprintf("rehearse-%d.golden", width), b.String())
	}
}
