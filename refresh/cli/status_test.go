package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec/refresh/run"
	"brs-exec/writer/rundir"
)

func TestTabulate(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	if err := tabulate(&out, []run.Record{
		{PID: 7},
		{PID: 4711, Command: "python", Since: now.Add(-75 * time.Hour), Source: `profile "prod" → arn:aws:iam::123456789012:role/App`,
			Key: "ASIA…WXYZ", Expires: now.Add(38 * time.Minute), Next: now.Add(8*time.Minute + 1), Refreshed: 149,
			LivesOn: `the SSO session of profile "prod"`, SourceExpiry: now.Add(8 * time.Hour)},
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
	runs := []rundir.Run{
		{PID: 3}, {PID: 4, Status: []byte(`{"pid":1,"command":"sh","key":"ASIA…1"}`)}, {PID: 5, Status: []byte("garbage")}, {PID: 6, Status: []byte(`{"pid":"x"}`)},
	}
	want := []run.Record{
		{PID: 3}, {PID: 4, Command: "sh", Key: "ASIA…1"},
		{PID: 5, Err: "its record cannot be read: invalid character 'g' looking for beginning of value"},
		{PID: 6, Err: "its record cannot be read: json: cannot unmarshal string into Go struct field Record.pid of type int"},
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
		r    run.Record
		want bool
	}{
		{"starting", run.Record{}, false},
		{"no set yet", run.Record{Command: "sh", Failed: 3, Err: "denied"}, false},
		{"credentials", run.Record{Key: "k", Expires: now.Add(time.Second)}, true},
		{"credentials, but the source refuses", run.Record{Key: "k", Expires: now.Add(time.Second), Failed: 1, Permanent: true}, true},
		{"ended", run.Record{Key: "k", Expires: now}, false},
		{"keys for life", run.Record{Key: "k"}, true},
	} {
		if got := alive(test.r, now); got != test.want {
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
