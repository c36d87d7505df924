package run

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor/sdnotify"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", name, diff)
	}
}

// inNewYork makes New York's winter the local zone of a test.
func inNewYork(t *testing.T) {
	was := time.Local
	time.Local = time.FixedZone("EST", -5*60*60)
	t.Cleanup(func() { time.Local = was })
}

// TestReport is what the log of a long run says, at the default level and in all.
func TestReport(t *testing.T) {
	inNewYork(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	hour := at.Add(time.Hour)
	down := errors.New("connection refused")
	denied := &refresh.Error{Err: errors.New("AccessDenied"), Permanent: true, Hint: "ask an admin"}
	type step struct {
		e     refresh.Event
		first bool
	}
	set := func(attempt int) refresh.Event {
		return refresh.Event{Kind: refresh.Refreshed, Profile: "prod", KeyID: "ASIA0000000000000001", Expires: hour, Life: time.Hour, Next: at, Attempt: attempt}
	}
	failed := func(attempt int) refresh.Event {
		return refresh.Event{Kind: refresh.Failed, Profile: "prod", KeyID: "ASIA0000000000000001", Expires: hour, Next: at, Attempt: attempt, Err: down}
	}
	refused := failed(1)
	refused.Err, refused.Permanent, refused.First = denied, true, true
	unchanged := set(0)
	unchanged.Kind = refresh.Unchanged
	unwritten := refresh.Event{Kind: refresh.DeliveryFailed, Attempt: 1, Err: errors.New("disk full"), Next: at}
	ended := refresh.Event{Kind: refresh.Expired, Profile: "prod", KeyID: "ASIA0000000000000001", Expires: hour}
	tests := []struct {
		name  string
		steps []step
	}{
		{"start", []step{{failed(1), true}, {failed(2), true}, {set(2), true}, {set(0), false}}},
		{"failures and recovery", []step{{set(0), true}, {failed(1), false}, {failed(2), false}, {set(2), false}, {set(0), false}}},
		{"refusal and recovery", []step{{set(0), true}, {refused, false}, {set(1), false}}},
		{"the same set after failures", []step{{set(0), true}, {failed(1), false}, {unchanged, false}, {unchanged, false}, {set(0), false}}},
		{"the end and recovery", []step{{set(0), true}, {failed(1), false}, {ended, false}, {failed(2), false}, {set(2), false}, {set(0), false}}},
		{"the end, the same set, and recovery", []step{{set(0), true}, {ended, false}, {unchanged, false}, {set(0), false}}},
		{"a disk that was full", []step{{set(0), true}, {unwritten, false}, {set(0), false}, {set(0), false}}},
		{"other", []step{
			{refresh.Event{Kind: refresh.Short, Profile: "prod", Life: 19 * time.Minute}, true},
			{refresh.Event{Kind: refresh.Early, Profile: "prod", Life: time.Hour, Next: at}, true},
			{refresh.Event{Kind: refresh.Skewed, Profile: "prod", Skew: 90 * time.Second}, true},
			{refresh.Event{Kind: refresh.ClockStep, Step: -time.Hour}, true},
		}},
	}
	var out strings.Builder
	for _, tt := range tests {
		for _, level := range []string{"warn", "debug"} {
			fmt.Fprintf(&out, "# %s, %s\n", tt.name, level)
			out.WriteString(logged(t, level, source.Origin{}, func(r *reporter) {
				for _, s := range tt.steps {
					r.event(s.e, s.first)
				}
			}))
		}
	}
	for _, s := range []struct {
		name, key string
		from      source.Origin
	}{
		{"long-term keys", "AKIA000000000000MPLE", source.Origin{Environment: true}},
		{"long-term keys of another server", "minio-service-dmin", source.Origin{Environment: true, LongTerm: true}},
		{"exported session credentials", "ASIA000000000000MPLE", source.Origin{Environment: true}},
		{"a command", "ASIA000000000000MPLE", source.Origin{Command: true}},
		{"a file", "ASIA000000000000MPLE", source.Origin{}},
		{"in place of another source", "AKIA000000000000MPLE", source.Origin{Environment: true, Fallback: true}},
	} {
		fmt.Fprintf(&out, "# no expiry, %s\n", s.name)
		out.WriteString(logged(t, "info", s.from, func(r *reporter) {
			r.event(refresh.Event{Kind: refresh.Static, Profile: "prod", KeyID: s.key, Next: at}, true)
		}))
	}
	golden(t, "log.golden", out.String())
}

// logged is what do leaves in a log, without the time of each line.
func logged(t *testing.T, level string, from source.Origin, do func(*reporter)) string {
	t.Helper()
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		t.Fatal(err)
	}
	inSeconds := func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindTime {
			a.Value = slog.StringValue(a.Value.Time().Local().Format(time.RFC3339))
		}
		return a
	}
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: least, ReplaceAttr: inSeconds}))
	do(&reporter{log: log, origin: func(string) source.Origin { return from }, many: func() int { return 1 }, bursts: &bursts{log: log}})
	var out strings.Builder
	for line := range strings.Lines(b.String()) {
		_, rest, _ := strings.Cut(line, " level=")
		out.WriteString("level=" + rest)
	}
	return out.String()
}

// TestSystemdStatus is what `systemctl status` shows.
func TestSystemdStatus(t *testing.T) {
	inNewYork(t)
	told := listenNotify(t)
	t.Setenv("NOTIFY_SOCKET", told.path)
	n, err := sdnotify.New(0)
	if err != nil {
		t.Fatal(err)
	}
	d := &systemd{Notifier: n, many: func() bool { return false }}
	at := time.Date(2126, 3, 1, 12, 30, 0, 0, time.UTC)
	const fine = "STATUS=credentials expire 2126-03-01 07:30:00 -05:00, next refresh 2126-03-01 07:30:00 -05:00"
	for _, step := range []struct {
		e    refresh.Event
		want []string
	}{
		{refresh.Event{Kind: refresh.Refreshed, Expires: at, Next: at}, []string{"RELOADING=1", "READY=1", fine}},
		{refresh.Event{Kind: refresh.Failed, Expires: at, Next: at, Attempt: 1, Err: errors.New("x")},
			[]string{"STATUS=failed refreshes: 1, next 2126-03-01 07:30:00 -05:00; credentials expire 2126-03-01 07:30:00 -05:00"}},
		{refresh.Event{Kind: refresh.Unchanged, Expires: at, Next: at, Attempt: 1}, []string{fine}},
		{refresh.Event{Kind: refresh.Unchanged, Expires: at, Next: at}, nil},
		{refresh.Event{Kind: refresh.Expired, Expires: at}, []string{"STATUS=credentials have expired"}},
		{refresh.Event{Kind: refresh.Unchanged, Expires: at.AddDate(-200, 0, 0), Attempt: 1}, nil},
		{refresh.Event{Kind: refresh.Refreshed}, []string{"RELOADING=1", "READY=1", "STATUS=credentials expire never, next refresh never"}},
	} {
		d.event(step.e, false)
		for i, got := range told.read(t, len(step.want)) {
			if line, _, _ := strings.Cut(got, "\n"); line != step.want[i] {
				t.Errorf("%v: systemd is told %q, want %q", step.e, line, step.want[i])
			}
		}
	}
}

// TestReportOfMany is what the log says of a thousand profiles: each line has its profile,
// a burst of lines is cut short, and each refusal is told once.
func TestReportOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		var b bytes.Buffer
		log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindTime {
				return slog.Attr{}
			}
			return a
		}}))
		r := &reporter{log: log, origin: func(string) source.Origin { return source.Origin{} }, many: func() int { return n }, bursts: &bursts{log: log}}
		var out strings.Builder
		show := func(what string) {
			r.bursts.endAll()
			fmt.Fprintf(&out, "# %s\n%s", what, b.String())
			b.Reset()
		}
		name := func(i int) string { return fmt.Sprintf("p%03d", i) }
		set := func(i int) refresh.Event {
			return refresh.Event{Kind: refresh.Refreshed, Profile: name(i), KeyID: "ASIAEXAMPLEEXAMPLE01", Identity: "arn:aws:sts::123456789012:assumed-role/App/nightly"}
		}
		failed := func(i, attempt int) refresh.Event {
			return refresh.Event{Kind: refresh.Failed, Profile: name(i), Attempt: attempt, Err: errors.New("connection refused"), RequestID: "c6104cbe"}
		}
		refused := func(i, attempt int) refresh.Event {
			return refresh.Event{Kind: refresh.Failed, Profile: name(i), Attempt: attempt, Permanent: true, First: attempt == 1, Err: &refresh.Error{Err: errors.New("AccessDenied"), Permanent: true, Hint: "ask an admin"}}
		}
		for i := range n {
			if i < 3 {
				r.event(refused(i, 1), true)
				continue
			}
			r.event(set(i), true)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(burstQuiet)
		synctest.Wait()
		show("the start, three of them refused")
		r.event(refused(0, 2), true)
		r.event(set(1), true)
		show("one is refused again, one works at last")
		r.event(set(5), false)
		show("a refresh")
		for attempt := 1; attempt < 4; attempt++ {
			for i := range n {
				r.event(failed(i, attempt), i < 1)
			}
			time.Sleep(time.Minute)
		}
		for i := range n {
			r.event(set(i), i < 1)
		}
		show("an outage, and its end")
		for i := range 60 {
			r.event(failed(i, 1), false)
			time.Sleep(troubleQuiet * 7 / 10)
		}
		show("failures that do not end")
		r.event(refresh.Event{Kind: refresh.Removed, Profile: name(7)}, false)
		show("one that is taken off the list")
		golden(t, "many.golden", out.String())
	})
}
