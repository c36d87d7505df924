package metrics

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/supervisor"
)

var update = flag.Bool("update", false, "write the golden files")

// parsed is a text as Prometheus' own parser understands it. It fails the test if the
// text is not, byte for byte, what Prometheus' own encoder makes of that.
func parsed(t *testing.T, text []byte) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("Prometheus' parser: %v\n%s", err, text)
	}
	var again bytes.Buffer
	for _, name := range namesIn(text) {
		if _, err := expfmt.MetricFamilyToText(&again, families[name]); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(again.String(), string(bytes.TrimPrefix(text, []byte(mark)))); diff != "" {
		t.Errorf("Prometheus' encoder writes it otherwise (-theirs +ours):\n%s", diff)
	}
	return families
}

// lint has Prometheus' linter look at the names and helps. It takes long for many.
func lint(t *testing.T, text []byte) {
	t.Helper()
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("Prometheus' linter: %v, %v", problems, err)
	}
}

var header = regexp.MustCompile(`(?m)^# HELP (\S+)`)

// namesIn are those of the families, in the order of the text.
func namesIn(text []byte) (names []string) {
	for _, m := range header.FindAllSubmatch(text, -1) {
		names = append(names, string(m[1]))
	}
	return names
}

// denied is what the AWS SDK gives back.
type coded string

func (c coded) Error() string     { return string(c) }
func (c coded) ErrorCode() string { return string(c) }

// TestText follows a run of two profiles from its start to its end.
func TestText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{Name: `nightly "x\y"`, Version: "v1.2.3", Profiles: []string{"a", "b"}})
		var out strings.Builder
		show := func(what string) {
			text := m.Text()
			parsed(t, text)
			lint(t, text)
			fmt.Fprintf(&out, "## %s\n%s", what, strings.ReplaceAll(string(text), runtime.Version(), "go1.x"))
		}
		ready := func(want bool, missing ...string) {
			t.Helper()
			got, names, _ := m.Ready()
			if diff := cmp.Diff(missing, names); got != want || diff != "" {
				t.Errorf("ready %v, want %v; missing (-want +got):\n%s", got, want, diff)
			}
		}
		set := func(profile string) refresh.Event {
			return refresh.Event{Kind: refresh.Refreshed, Profile: profile, Time: time.Now(), KeyID: "ASIAXXXXXXXXXXXX0001", Expires: time.Now().Add(time.Hour), Life: time.Hour, Took: 52 * time.Millisecond}
		}
		failed := func(profile string, attempt int, err error) refresh.Event {
			return refresh.Event{Kind: refresh.Failed, Profile: profile, Time: time.Now(), Attempt: attempt, Err: err, Took: 1200 * time.Millisecond}
		}
		ready(false, "a", "b")
		show("before anything")
		m.Engine(set("a"))
		ready(false, "b")
		m.Engine(set("b"))
		ready(true)
		m.Child(supervisor.Event{Kind: supervisor.Started})
		m.Delivered("run directory", nil)
		m.Delivered("run directory", errors.New("disk full"))
		show("started")

		time.Sleep(30 * time.Minute)
		m.Engine(failed("a", 1, &net.OpError{Op: "dial", Err: errors.New("refused")}))
		m.Engine(failed("a", 2, coded("Throttling")))
		m.Engine(failed("a", 3, coded("InternalFailure")))
		denied := failed("a", 4, coded("AccessDenied"))
		denied.Permanent = true
		m.Engine(denied)
		m.Engine(set("b"))
		m.Stale("a")
		m.Request("s3", 200)
		m.Request("s3", 206)
		m.Request("s3", 503)
		m.Request("ec2", 0)
		show("a fails")
		time.Sleep(30*time.Minute - 1)
		ready(true)
		time.Sleep(time.Nanosecond)
		ready(false, "a") // no event has come
		show("a has expired")

		m.Engine(refresh.Event{Kind: refresh.ClockStep, Step: -20 * time.Minute}) // the clock is set back: so are the expiries
		ready(false, "a")
		unchanged := set("a")
		unchanged.Kind = refresh.Unchanged
		m.Engine(unchanged)
		ready(false, "a")
		m.Child(supervisor.Event{Kind: supervisor.Ended, Again: true})
		m.Child(supervisor.Event{Kind: supervisor.Started})
		m.SetProfiles([]string{"b", "c\nd"})
		never := set("c\nd")
		never.Expires = time.Time{}
		ready(false, "c\nd")
		m.Engine(never)
		ready(true)
		m.End(7)
		show("another list, and the end")
		golden(t, "metrics.golden", out.String())
	})
}

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

// TestReadyWithSome: as many as are required have to be fresh, and none is never enough.
func TestReadyWithSome(t *testing.T) {
	for _, tt := range []struct {
		require, profiles, fresh int
		want                     bool
	}{
		{0, 0, 0, false},
		{0, 2, 1, false},
		{0, 2, 2, true},
		{1, 2, 0, false},
		{1, 2, 1, true},
		{2, 3, 1, false},
		{2, 3, 2, true},
		{5, 3, 3, true}, // the list has become shorter
		{5, 3, 2, false},
	} {
		m := New(Options{Require: tt.require})
		for i := range tt.profiles {
			m.SetProfiles(append(namesOf(i), fmt.Sprint(i)))
		}
		for i := range tt.fresh {
			m.Engine(refresh.Event{Kind: refresh.Refreshed, Profile: fmt.Sprint(i), Expires: time.Now().Add(time.Hour)})
		}
		if got, _, of := m.Ready(); got != tt.want || of != tt.profiles {
			t.Errorf("%+v: ready %v of %d", tt, got, of)
		}
	}
}

func namesOf(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint(i))
	}
	return names
}

// TestHistogram: a duration is in the bucket of its bound.
func TestHistogram(t *testing.T) {
	m := New(Options{})
	for _, d := range []float64{0.001, 0.01, 0.02, 30, 31} {
		m.took.observe(d)
	}
	h := parsed(t, m.Text())["brs_exec_refresh_duration_seconds"].Metric[0].Histogram
	got := map[float64]uint64{}
	for _, b := range h.Bucket {
		got[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	if got[0.01] != 2 || got[0.05] != 3 || got[10] != 3 || got[30] != 4 || h.GetSampleCount() != 5 {
		t.Errorf("%v", h)
	}
}

// TestTextIsLinear: a thousand profiles are a thousand times one.
func TestTextIsLinear(t *testing.T) {
	size := func(n int) int {
		m := New(Options{Name: "n", Profiles: namesOf(n)})
		for _, name := range namesOf(n) {
			m.Engine(refresh.Event{Kind: refresh.Refreshed, Profile: name, Time: time.Now(), Expires: time.Now().Add(time.Hour)})
		}
		text := m.Text()
		parsed(t, text)
		return len(text)
	}
	one, many := size(10), size(1000)
	if many > 110*one {
		t.Errorf("10 profiles are %d bytes, 1000 are %d", one, many)
	}
}

// FuzzText: whatever a name is, Prometheus' parser understands the text, and has the name.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a", `"`, `\`, "\n", "\r", "{}", "é", "\xff", `a",x="y`, "# HELP x y"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, run, profile string) {
		m := New(Options{Name: run, Version: run, Profiles: []string{profile}})
		m.Engine(refresh.Event{Kind: refresh.Refreshed, Profile: profile, Time: time.Unix(1e9, 0)})
		m.Delivered(profile, nil)
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(m.Text()))
		if err != nil {
			t.Fatal(err)
		}
		var got string
		for _, l := range families["brs_exec_refreshes_total"].Metric[0].Label {
			if l.GetName() == "profile" {
				got = l.GetValue()
			}
		}
		if want := strings.ToValidUTF8(profile, "\uFFFD"); got != want {
			t.Errorf("profile %q is %q", want, got)
		}
	})
}

func BenchmarkText(b *testing.B) {
	m := New(Options{Name: "n", Profiles: namesOf(1000)})
	for b.Loop() {
		_, _ = io.Discard.Write(m.Text())
	}
}
