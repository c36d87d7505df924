package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh/control"
	"brs-exec.example/brs-exec/writer/rundir"
)

var statusNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// seenRuns4 are runs of each kind.
func runsToDraw() []seenRun {
	now := statusNow
	one := func(pid int, r control.Record, profiles ...control.Profile) seenRun {
		r.Profiles, r.Version, r.PID, r.Began = profiles, 1, pid, now.Add(-80*time.Hour)
		return seenRun{Run: rundir.Run{PID: pid, UID: os.Geteuid()}, record: r}
	}
	silent := func(pid int, err error) seenRun {
		return seenRun{Run: rundir.Run{PID: pid, UID: os.Geteuid()}, record: control.Record{PID: pid}, err: err}
	}
	held := control.Profile{Name: "prod", Source: `profile "prod" → arn:aws:iam::123456789012:role/App`, KeyID: "ASIAABCDEFGHIJKLWXYZ",
		Identity: "arn:aws:sts::123456789012:assumed-role/App/brs-exec-python-4711-and-more",
		Issued:   now.Add(-22 * time.Minute), Expires: now.Add(38 * time.Minute), Next: now.Add(8*time.Minute + 1), Refreshed: 149}
	failing := held
	failing.Failed, failing.Failures, failing.FailedAt, failing.Next = 3, 12, now.Add(-30*time.Second), now.Add(40*time.Second)
	failing.Err = "operation error STS: AssumeRole, https response error StatusCode: 403, RequestID: 01234567-89ab-cdef-0123-456789abcdef, api error AccessDenied: not authorized"
	failing.Hint, failing.RequestID, failing.Permanent = "see the trust policy of the role", "01234567-89ab-cdef-0123-456789abcdef", true
	failing.Stale, failing.StaleNow = 2, true
	failing.LivesOn, failing.SourceExpiry = `the SSO session of profile "prod"`, now.Add(8*time.Hour)
	expired := control.Profile{Name: "x\n\x1b[31m", Source: "EC2 instance role\x1b]0;title\a", KeyID: "ASIA\x1b[2J", Issued: now.Add(-time.Hour), Expires: now.Add(-time.Second), Next: now.Add(-time.Second)}
	keys := control.Profile{Name: "brs-exec", Source: "environment variables", KeyID: "AKIAABCDEFGHIJKLMPLE"}
	none := control.Profile{Name: "brs-exec", Source: "command vault", Next: now.Add(4 * time.Second), Failed: 1, Failures: 1, Err: "connection refused", FailedAt: now}
	var many []control.Profile
	for i := range 200 {
		p := held
		p.Name = fmt.Sprintf("account-%012d-eu-central-1", i)
		p.Next = now.Add(time.Duration(i+1) * time.Minute)
		switch {
		case i%30 == 7:
			p.Failed, p.Failures, p.Err, p.FailedAt = 2, 2, "api error AccessDenied: not authorized to perform sts:AssumeRole on it", now.Add(-time.Minute)
		case i%50 == 3:
			p.Expires, p.Failed, p.Err = now.Add(-time.Hour), 9, "no such host"
		case i == 11:
			p = control.Profile{Name: p.Name, Failed: 1, Err: "denied"}
		}
		many = append(many, p)
	}
	return []seenRun{
		silent(7, control.ErrNone), silent(8, control.ErrSilent), silent(9, errors.New("user 5 has it\x1b[2J\nand more")),
		one(4711, control.Record{Name: "nightly-report", Command: "python", State: control.Running, Child: 4712, Since: now.Add(-75 * time.Hour), Starts: 1}, held),
		one(4713, control.Record{Name: "sh job.sh", State: control.Stopped, Child: 4714, Since: now, Starts: 2, Exit: "exit status 1", Hangs: true}, failing),
		one(4715, control.Record{Name: "a\tb\x1b[0m", State: control.Restarting, Again: now.Add(3 * time.Second), Starts: 2, Exit: "signal KILL", DeliveryFailed: 2, DeliveryErr: "write: no space left on device"}, expired),
		one(4716, control.Record{Name: "keep", State: control.Keeping}, keys),
		one(4718, control.Record{Name: "vault", State: control.Starting}, none),
		one(4721, control.Record{Name: "agent", State: control.Running, Child: 4722, Since: now.Add(-time.Hour), Starts: 1, Deliver: "sign", Requests: 12034, Refused: 2}, held),
		one(4719, control.Record{Name: "accounts", State: control.Running, Child: 4720, Since: now.Add(-time.Hour), Starts: 1}, many...),
	}
}

// TestDraw: what a person sees, at the width of a terminal.
func TestDraw(t *testing.T) {
	for _, tt := range []struct {
		golden string
		d      drawing
	}{
		{"status.golden", drawing{now: statusNow, width: 80}},
		{"status-narrow.golden", drawing{now: statusNow, width: 50}},
		{"status-colour.golden", drawing{now: statusNow, width: 80, colour: true}},
	} {
		text := tt.d.runs(runsToDraw())
		golden(t, tt.golden, text)
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); !tt.d.colour && n > tt.d.width {
				t.Errorf("%s: %d columns: %s", tt.golden, n, line)
			}
			if !tt.d.colour && strings.ContainsAny(line, "\x1b\a") {
				t.Errorf("%s: a control character of somebody else's: %q", tt.golden, line)
			}
		}
	}
	wide := drawing{now: statusNow, width: 80, wide: true}.runs(runsToDraw())
	if !strings.Contains(wide, "ASIAABCDEFGHIJKLWXYZ") || strings.Count(wide, "account-") != 200 {
		t.Errorf("--wide lacks key ids or profiles:\n%s", wide)
	}
}

// TestBar: what is over of a lifetime, now, and the next refresh.
func TestBar(t *testing.T) {
	now := statusNow
	for _, tt := range []struct {
		issued, expires, next time.Duration // from now
		want                  string
	}{
		{0, time.Hour, 30 * time.Minute, "[|----^----]"},
		{-30 * time.Minute, 30 * time.Minute, 15 * time.Minute, "[=====|-^--]"},
		{-45 * time.Minute, 15 * time.Minute, time.Second, "[=======|--]"},
		{-45 * time.Minute, 15 * time.Minute, -time.Second, "[=======|--]"},
		{-59 * time.Minute, time.Minute, 2 * time.Minute, "[=========|]"},
		{-2 * time.Hour, -time.Hour, time.Minute, "[=========X]"},
		{-2 * time.Hour, 0, time.Minute, "[=========X]"},
		{time.Minute, time.Hour, 2 * time.Minute, "[^---------]"}, // the clock was set back
		{-36 * time.Hour, 365 * 24 * time.Hour, time.Hour, "[|---------]"},
		{time.Hour, time.Hour, 0, ""},
		{time.Hour, time.Minute, 0, ""},
	} {
		if got := bar(10, now.Add(tt.issued), now.Add(tt.expires), now.Add(tt.next), now); got != tt.want && !(tt.issued > 0 && len(tt.want) > 0 && got == "[|---------]") {
			t.Errorf("%v %v %v: %s, want %s", tt.issued, tt.expires, tt.next, got, tt.want)
		}
	}
	if got := bar(10, now, time.Time{}, time.Time{}, now); got != "" {
		t.Errorf("without an expiry: %s", got)
	}
}

// TestFrame: one frame takes the place of another, and no more than the terminal.
func TestFrame(t *testing.T) {
	t.Setenv("TZ", "UTC")
	d := drawing{now: statusNow.Local(), width: 80}
	for _, rows := range []int{1000, 24, 2} {
		text := frame(d.watched(runsToDraw(), ""), rows)
		if n := strings.Count(text, "\n") + 1; n > rows || strings.HasSuffix(text, "\n") || !strings.HasPrefix(text, home) || !strings.HasSuffix(text, clearLine+clearBelow) {
			t.Errorf("of %d rows for %d: %q", n, rows, text)
		}
		if strings.Count(text, clearLine) != strings.Count(text, "\n")+1 {
			t.Errorf("a line is not cleared behind its end: %q", text)
		}
	}
	if text := frame(d.watched(nil, "nightly"), 24); !strings.Contains(text, "no brs-exec of that process id or name is running") {
		t.Errorf("of none: %q", text)
	}
}

// TestHealth: what a probe is told.
func TestHealth(t *testing.T) {
	now := statusNow
	in := func(d time.Duration) time.Time { return now.Add(d) }
	for _, tt := range []struct {
		name string
		p    control.Profile
		want health
	}{
		{"no credentials yet", control.Profile{}, expired},
		{"none, and refused", control.Profile{Failed: 3, Err: "denied"}, expired},
		{"fresh", control.Profile{KeyID: "k", Expires: in(time.Second), Next: in(time.Second)}, fresh},
		{"long-term keys", control.Profile{KeyID: "k", Next: in(time.Hour)}, fresh},
		{"refused", control.Profile{KeyID: "k", Expires: in(time.Second), Failed: 1, Permanent: true}, failing},
		{"a stale client", control.Profile{KeyID: "k", Expires: in(time.Second), Stale: 1, StaleNow: true}, failing},
		{"one that was stale", control.Profile{KeyID: "k", Expires: in(time.Second), Stale: 1}, fresh},
		{"being refreshed", control.Profile{KeyID: "k", Expires: in(time.Hour), Next: in(-time.Minute)}, fresh},
		{"overdue", control.Profile{KeyID: "k", Expires: in(time.Hour), Next: in(-3 * time.Minute)}, failing},
		{"expired", control.Profile{KeyID: "k", Expires: now}, expired},
		{"expired, and refused", control.Profile{KeyID: "k", Expires: in(-time.Hour), Failed: 9}, expired},
	} {
		if got := healthOf(tt.p, now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	good, none, gone := control.Profile{KeyID: "k"}, control.Profile{}, control.Profile{KeyID: "k", Expires: now}
	for _, tt := range []struct {
		name string
		s    seenRun
		want health
	}{
		{"fresh", seenRun{record: control.Record{Profiles: []control.Profile{good, good}}}, fresh},
		{"the worst of its profiles", seenRun{record: control.Record{Profiles: []control.Profile{good, {}, {KeyID: "k", Failed: 1}}}}, expired},
		{"all that are required have some", seenRun{record: control.Record{Require: 2, Profiles: []control.Profile{good, none, {KeyID: "k", Failed: 1}, gone}}}, failing},
		{"one that is required has none", seenRun{record: control.Record{Require: 2, Profiles: []control.Profile{good, none, gone}}}, expired},
		{"fewer are required, and all are fresh", seenRun{record: control.Record{Require: 1, Profiles: []control.Profile{good, good}}}, fresh},
		{"an engine that hangs", seenRun{record: control.Record{Hangs: true, Profiles: []control.Profile{good}}}, failing},
		{"a full disk", seenRun{record: control.Record{DeliveryFailed: 1, Profiles: []control.Profile{good}}}, failing},
		{"silence", seenRun{err: control.ErrSilent}, expired},
		{"the first moment", seenRun{err: control.ErrNone}, expired},
	} {
		if got := tt.s.health(now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestPrintJSON: the schema of docs/status.md, with what lines had before there were
// runs of many profiles.
func TestPrintJSON(t *testing.T) {
	var out bytes.Buffer
	runs := runsToDraw()
	if err := printJSON(&out, runs[:len(runs)-1], statusNow); err != nil {
		t.Fatal(err)
	}
	golden(t, "status-json.golden", out.String())
	for line := range strings.Lines(out.String()) {
		var r struct {
			PID      int
			Profiles []struct{ Name, Health string }
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.PID == 0 || r.Profiles == nil {
			t.Errorf("%s: %v, %+v", line, err, r)
		}
	}
}

// TestWhich: a run goes by its process id or its name.
func TestWhich(t *testing.T) {
	runs := []seenRun{
		{Run: rundir.Run{PID: 1}, record: control.Record{Name: "a"}}, {Run: rundir.Run{PID: 2}, record: control.Record{Name: "b c"}},
		{Run: rundir.Run{PID: 3}, record: control.Record{Name: "a"}}, {Run: rundir.Run{PID: 4}, record: control.Record{Name: "2"}},
		{Run: rundir.Run{PID: 5}, err: control.ErrSilent},
	}
	for word, want := range map[string][]int{"": {1, 2, 3, 4, 5}, "a": {1, 3}, "b c": {2}, "2": {2, 4}, "5": {5}, "6": nil, "b": nil} {
		var got []int
		for _, s := range which(runs, word) {
			got = append(got, s.PID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", word, diff)
		}
	}
}

// TestOwnFirst: nobody is asked for root's run of a name, and nobody spoils its health, by a run
// that has the same name.
func TestOwnFirst(t *testing.T) {
	run := func(pid, uid int) seenRun { return seenRun{Run: rundir.Run{PID: pid, UID: uid}} }
	mine, theirs := os.Geteuid(), os.Geteuid()+1
	for _, tt := range []struct {
		runs []seenRun
		want []int
	}{
		{[]seenRun{run(1, theirs), run(2, mine), run(3, theirs), run(4, mine)}, []int{2, 4}},
		{[]seenRun{run(1, theirs), run(3, theirs)}, []int{1, 3}},
		{[]seenRun{run(1, -1)}, []int{1}}, // no users have numbers
		{nil, nil},
	} {
		var got []int
		for _, s := range ownFirst(tt.runs) {
			got = append(got, s.PID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestFlagsFirst(t *testing.T) {
	for line, want := range map[string]string{
		"status":                                    "status",
		"status 1 --json":                           "status --json 1",
		"status --json a --check":                   "status --json --check a",
		"refresh a --profile b --timeout=3s":        "refresh --profile b --timeout=3s a",
		"refresh --profile=b a -profile c d":        "refresh --profile=b -profile c a d",
		"refresh a --profile":                       "refresh --profile a",
		"refresh --timeout 3s --profile b --what a": "refresh --timeout 3s --profile b --what a",
	} {
		if got := strings.Join(flagsFirst(strings.Fields(line), "profile", "timeout"), " "); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

// TestRefreshed: what `brs-exec refresh` prints.
func TestRefreshed(t *testing.T) {
	t.Setenv("TZ", "UTC")
	held := control.Profile{Name: "one", KeyID: "ASIAABCDEFGHIJKLWXYZ", Expires: statusNow.Add(time.Hour)}
	newer := held
	newer.KeyID = "ASIAABCDEFGHIJKLABCD"
	failed := control.Profile{Name: "two", KeyID: "k", Failed: 1, Err: "denied"}
	static := control.Profile{Name: "three", KeyID: "AKIAABCDEFGHIJKLMPLE"}
	expires := localTime(held.Expires)
	for _, tt := range []struct {
		name string
		now  []control.Profile
		want string
	}{
		{"newer", []control.Profile{newer}, "one: ASIA…ABCD, until " + expires + " (1h0m)\n"},
		{"the same", []control.Profile{held}, "one: ASIA…WXYZ, the same as before, until " + expires + " (1h0m)\n"},
		{"failed", []control.Profile{failed}, ""}, // which the error says
		{"some", []control.Profile{newer, failed, static}, "one: ASIA…ABCD, until " + expires + " (1h0m)\ntwo: failed: denied\nthree: AKIA…MPLE, no expiry\n"},
		{"many", append(make([]control.Profile, 20), newer, newer), strings.Repeat(": failed: \n", 20) + "2 of 22 profiles are refreshed\n"},
	} {
		if diff := cmp.Diff(tt.want, refreshed(tt.now, []control.Profile{held}, statusNow)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestStatusOrder: a flag may stand behind the process id.
func TestStatusOrder(t *testing.T) {
	const most = "4194305" // no process can have that id on Linux
	for _, args := range [][]string{{most, "--json"}, {"--json", most}, {most, "--json", "--check"}, {most}} {
		for _, command := range []string{"status", "refresh"} {
			if command == "refresh" && len(args) > 1 {
				continue
			}
			stdout, stderr, code := runQuietly(append([]string{command}, args...)...)
			if code != 3 || stdout != "" || !strings.HasPrefix(stderr, "brs-exec: no brs-exec of that process id or name is running") || !strings.Contains(stderr, ": "+most) {
				t.Errorf("%s %q: exit code %d, %q, %q", command, args, code, stdout, stderr)
			}
		}
	}
}
