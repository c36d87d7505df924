package cli

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec/refresh"
	"brs-exec/refresh/source"
	"brs-exec/supervisor"
	"brs-exec/writer"
)

func TestTabulate(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	if err := tabulate(&out, []record{
		{PID: 7},
		{PID: 4711, Command: "python", Since: now.Add(-75 * time.Hour), Source: `profile "prod" → arn:aws:iam::123456789012:role/App`,
			Key: "ASIA…WXYZ", Expires: now.Add(38 * time.Minute), Next: now.Add(8*time.Minute + 1), Refreshed: 149,
			Lives: `the SSO session of profile "prod"`, Ends: now.Add(8 * time.Hour)},
		{PID: 4712, Command: "a\tb", Since: now.Add(-3 * time.Hour), Source: "EC2 instance role",
			Key: "ASIA…ABCD", Expires: now.Add(-time.Second), Next: now.Add(-time.Second), Failed: 12, Err: "connection refused", Stale: 2},
		{PID: 4713, Command: "sh", Since: now, Source: "environment variables", Key: "AKIA…MPLE"},
		{PID: 4714, Command: "sh", Source: "command vault"},
		{PID: 4715, Err: "its record cannot be read"},
	}, now); err != nil {
		t.Fatal(err)
	}
	golden(t, "status.golden", out.String())
}

// TestRecordsOf: one run that says nonsense does not hide the others.
func TestRecordsOf(t *testing.T) {
	runs := []writer.Run{
		{PID: 3}, {PID: 4, Status: []byte(`{"pid":1,"command":"sh","key":"ASIA…1"}`)}, {PID: 5, Status: []byte("garbage")}, {PID: 6, Status: []byte(`{"pid":"x"}`)},
	}
	want := []record{
		{PID: 3}, {PID: 4, Command: "sh", Key: "ASIA…1"},
		{PID: 5, Err: "its record cannot be read: invalid character 'g' looking for beginning of value"},
		{PID: 6, Err: "its record cannot be read: json: cannot unmarshal string into Go struct field record.pid of type int"},
	}
	if diff := cmp.Diff(want, recordsOf(runs, 0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[1:2], recordsOf(runs, 4)); diff != "" {
		t.Errorf("of one (-want +got):\n%s", diff)
	}
}

// TestAlive: what a probe is told.
func TestAlive(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name string
		r    record
		want bool
	}{
		{"starting", record{}, false},
		{"no set yet", record{Command: "sh", Failed: 3, Err: "denied"}, false},
		{"a set", record{Key: "k", Expires: now.Add(time.Second)}, true},
		{"a set, but the source refuses", record{Key: "k", Expires: now.Add(time.Second), Failed: 1, Permanent: true}, true},
		{"ended", record{Key: "k", Expires: now}, false},
		{"keys for life", record{Key: "k"}, true},
	} {
		if got := test.r.alive(now); got != test.want {
			t.Errorf("%s: alive is %v, want %v", test.name, got, test.want)
		}
	}
}

// TestStatusOrder: a flag may stand behind the process id.
func TestStatusOrder(t *testing.T) {
	const most = "4194305" // no process can have that id on Linux
	for _, args := range [][]string{{most, "--json"}, {"--json", most}, {most, "--json", "--check"}, {most}} {
		stdout, stderr, code := runQuietly(append([]string{"status"}, args...)...)
		if want := "brs-exec: no brs-exec of process id " + most + " is running as this user\n"; code != 1 || stdout != "" || stderr != want {
			t.Errorf("status %q: exit code %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

func TestRecorder(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	k := newRecorder("/usr/bin/python", "a profile", nil)
	set := refresh.Event{Kind: refresh.Refreshed, KeyID: "ASIA…0001", Expires: now.Add(time.Hour), Next: now.Add(time.Minute)}
	failed := refresh.Event{Kind: refresh.Failed, Attempt: 3, Permanent: true, Err: errExpired, Next: now.Add(time.Second)}
	base := record{PID: k.r.PID, Command: "python", Source: "a profile"}
	held := base
	held.Key, held.Expires, held.Next = set.KeyID, set.Expires, set.Next
	failing := held
	failing.Failed, failing.Permanent, failing.Err, failing.Next = 3, true, errExpired.Error(), failed.Next
	twice := held
	twice.Refreshed = 1
	known, login := twice, source.Ending{At: now.Add(time.Hour), What: "a login"}
	known.Lives, known.Ends = login.What, login.At
	stale := twice
	stale.Stale = 1
	for _, step := range []struct {
		name string
		do   func()
		want record
	}{
		{"first set", func() { k.engine(set, true) }, held},
		{"failure", func() { k.engine(failed, false) }, failing},
		{"the same again", func() {
			e := set
			e.Kind = refresh.Unchanged
			k.engine(e, false)
		}, held},
		{"second set", func() { k.engine(set, false) }, twice},
		{"a login that ends", func() { k.ending(login, true) }, known},
		{"no end", func() { k.ending(login, false) }, twice},
		{"stale", k.stale, stale},
		{"the command ends", func() { k.child(supervisor.Event{Kind: supervisor.Ended, PID: 1}) }, stale},
	} {
		step.do()
		if diff := cmp.Diff(step.want, k.r); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		text, err := json.Marshal(k.r)
		var back record
		if err != nil || json.Unmarshal(text, &back) != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(k.r, back); diff != "" {
			t.Errorf("%s, written and read (-want +got):\n%s", step.name, diff)
		}
	}
}
