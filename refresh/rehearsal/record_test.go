package rehearsal

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

// two has credentials delivered each 10 seconds that expire after 20: A at 0, B at 10, …
func two(r *Record, name string, until int) {
	for i := 0; i*10 <= until; i++ {
		r.Delivered(name, name+string(rune('A'+i)), at(float64(i*10+20)))
	}
}

// TestVerdict: what a rehearsal says of what it has seen.
func TestVerdict(t *testing.T) {
	const second = time.Second
	for _, tt := range []struct {
		name string
		see  func(r *Record)
		want Result // of 40 seconds
	}{
		{
			"nothing", func(r *Record) { two(r, "p", 30) },
			Result{Verdict: NoCall, Profiles: []Profile{{Delivered: 4}}},
		},
		{
			"credentials that were read, and no call", func(r *Record) {
				two(r, "p", 30)
				r.Called(at(1), "", "", "")
				r.Read("p", "process", at(31))
			},
			Result{Verdict: NoCall, Others: 1, Profiles: []Profile{{Delivered: 4, Read: []Read{{"process", 31 * second}}}}},
		},
		{
			"newer credentials in time", func(r *Record) {
				two(r, "p", 30)
				r.Called(at(1), "p", "pA", "")
				r.Called(at(19), "p", "pB", "")
				r.Called(at(21), "p", "pC", "")
				r.Called(at(22), "p", "pC", "")
			},
			Result{Verdict: Survives, Profiles: []Profile{{Delivered: 4, Used: 3, Calls: 4, After: 2, Verdict: Survives}}},
		},
		{
			"no call after an expiry", func(r *Record) {
				two(r, "p", 30)
				r.Called(at(12), "p", "pB", "")
				r.Called(at(29.9), "p", "pB", "")
			},
			Result{Verdict: Short, Profiles: []Profile{{Delivered: 4, Used: 1, Calls: 2, Verdict: Short}}},
		},
		{
			"a call after the expiry of credentials that no call was made with", func(r *Record) {
				two(r, "p", 30)
				r.Called(at(21), "p", "pC", "")
			},
			Result{Verdict: Short, Profiles: []Profile{{Delivered: 4, Used: 1, Calls: 1, Verdict: Short}}},
		},
		{
			"a copy", func(r *Record) {
				two(r, "p", 30)
				r.Called(at(1), "p", "pA", "")
				r.Called(at(19), "p", "pA", "")
				r.Called(at(21), "p", "pA", "ExpiredToken")
				r.Called(at(39), "p", "pA", "ExpiredTokenException")
			},
			Result{Verdict: Fails, Profiles: []Profile{{Delivered: 4, Used: 1, Calls: 4, Expired: 2, First: 21 * second, Last: 39 * second, Verdict: Fails}}},
		},
		{
			"calls that come to be known in another order", func(r *Record) {
				two(r, "p", 30)
				r.Called(at(39), "p", "pA", "ExpiredToken")
				r.Called(at(21), "p", "pA", "ExpiredToken")
				r.Called(at(1), "p", "pA", "")
			},
			Result{Verdict: Fails, Profiles: []Profile{{Delivered: 4, Used: 1, Calls: 3, Expired: 2, First: 21 * second, Last: 39 * second, Verdict: Fails}}},
		},
		{
			"a client that asks for newer ones when it is refused", func(r *Record) {
				two(r, "p", 30)
				r.Called(at(1), "p", "pA", "")
				r.Called(at(21), "p", "pA", "ExpiredToken")
				r.Called(at(21.1), "p", "pC", "")
			},
			Result{Verdict: Recovered, Profiles: []Profile{{Delivered: 4, Used: 2, Calls: 3, Expired: 1, First: 21 * second, Last: 21 * second, After: 1, Verdict: Recovered}}},
		},
		{
			"newer credentials that came too late", func(r *Record) {
				two(r, "p", 0)
				r.Called(at(1), "p", "pA", "")
				r.Called(at(21), "p", "pA", "ExpiredToken")
			},
			Result{Verdict: TooLate, Profiles: []Profile{{Delivered: 1, Used: 1, Calls: 2, Late: 1, Verdict: TooLate}}},
		},
		{
			"other refusals", func(r *Record) {
				two(r, "p", 30)
				r.Called(at(1), "p", "pA", "")
				r.Called(at(20), "p", "pB", "AccessDenied")
				r.Called(at(21), "p", "pC", "")
			},
			Result{Verdict: Survives, Profiles: []Profile{{Delivered: 4, Used: 3, Calls: 3, Refused: 1, Code: "AccessDenied", After: 1, Verdict: Survives}}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Record
			r.Started(start)
			r.Started(at(5)) // again
			tt.see(&r)
			tt.want.Ran, tt.want.Profiles[0].Name = 40*second, "p"
			if diff := cmp.Diff(tt.want, r.Result(at(40))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestVerdictOfMany: the worst of several profiles counts, and one that was not used does not.
func TestVerdictOfMany(t *testing.T) {
	for _, tt := range []struct {
		name string
		see  map[string][]string // key ids and codes by profile, from second 19 on
		want Verdict
	}{
		{"none is used", nil, NoCall},
		{"one is used", map[string][]string{"a": {"aA", "", "aC", ""}}, Survives},
		{"one fails", map[string][]string{"a": {"aA", "", "aC", ""}, "b": {"bA", "", "bA", "ExpiredToken"}}, Fails},
		{"one is not shown", map[string][]string{"a": {"aA", "", "aC", ""}, "b": {"bC", "", "bC", ""}}, Short},
	} {
		var r Record
		r.Started(start)
		for _, name := range []string{"a", "b", "c"} {
			two(&r, name, 30)
			calls := tt.see[name]
			for i := 0; i < len(calls); i += 2 {
				r.Called(at(19+float64(i)), name, calls[i], calls[i+1])
			}
		}
		if got := r.Result(at(40)); got.Verdict != tt.want || len(got.Profiles) != 3 || got.Profiles[0].Name != "a" {
			t.Errorf("%s: %+v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestNoStart: a command that was not started.
func TestNoStart(t *testing.T) {
	var r Record
	if diff := cmp.Diff(Result{}, r.Result(start)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
