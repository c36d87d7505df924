package refresh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

var errDenied = &Error{Err: &apiError{"AccessDenied"}, Permanent: true, Hint: "ask an admin", RequestID: "r-1"}

// named makes n profiles p0, p1, …, which edit may change.
func named(w *world, n int, edit func(n int, i *issuer)) []Profile {
	var ps []Profile
	for k := range n {
		i := &issuer{world: w, life: time.Hour}
		if edit != nil {
			edit(k, i)
		}
		ps = append(ps, Profile{fmt.Sprint("p", k), i})
	}
	return ps
}

// TestRequire: as many as are required start the command, and no more are waited for.
func TestRequire(t *testing.T) {
	always := func(int) error { return errDenied }
	never := func(ctx context.Context, _ int) { <-ctx.Done() }
	tests := []struct {
		name            string
		require         int
		denied, hanging int // of 10
		ready           bool
		want            string // Run's error
		after           time.Duration
	}{
		{"all, and all come", 0, 0, 0, true, "", 0},
		{"all, and one is denied", 0, 1, 0, false, `profile "p0": api error AccessDenied`, 0},
		{"nine, and one is denied", 9, 1, 0, true, "", 0},
		{"nine, and two are denied", 9, 2, 0, false, `api error AccessDenied (and 1 profile more)`, 0},
		{"any, and one comes", 1, 9, 0, true, "", 0},
		{"any, and none comes", 1, 10, 0, false, `api error AccessDenied (and 9 profiles more)`, 0},
		{"any, and most hang", 1, 0, 9, true, "", 31 * time.Second},
		{"more than there are", 11, 1, 0, false, `profile "p0": api error AccessDenied`, 0},
		{"five, and some are denied and some hang", 5, 3, 3, false, "no credentials within 30s", 31 * time.Second},
		{"four, and some are denied and some hang", 4, 3, 3, true, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				r := launch(t, w, Options{
					Require: tt.require, Deliveries: []Delivery{&shelf{}},
					Profiles: named(w, 10, func(n int, i *issuer) {
						if n < tt.denied {
							i.fail = always
						} else if n < tt.denied+tt.hanging {
							i.hang = never
						}
					}),
				})
				pass(tt.after + time.Second)
				if got := r.isReady(); got != tt.ready {
					t.Fatalf("ready is %v, want %v", got, tt.ready)
				}
				if tt.ready {
					pass(20 * time.Minute)
					r.count(Refreshed, 10-tt.denied-tt.hanging)
				} else if err := r.wait(); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("Run = %v, want %q", err, tt.want)
				}
			})
		})
	}
}

// TestDeniedCostsOthersNothing: it is retried slowly, and the first to say is loud.
func TestDeniedCostsOthersNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := &shelf{}
		r := launch(t, w, Options{
			Require: 1, Deliveries: []Delivery{s}, Workers: 2,
			Profiles: named(w, 20, func(n int, i *issuer) {
				if n < 10 {
					i.fail = func(int) error { return errDenied }
				}
			}),
		})
		pass(10 * time.Hour)
		loud, perProfile := 0, map[string]int{}
		for _, e := range r.seen(Failed) {
			if e.First {
				loud++
			}
			if e.RequestID != "r-1" {
				t.Fatalf("failure %+v, want AWS's request id", e)
			}
			perProfile[e.Profile]++
		}
		if loud != 10 {
			t.Errorf("%d loud failures, want one for each of 10 profiles", loud)
		}
		for n := range 10 {
			if got := perProfile[fmt.Sprint("p", n)]; got < 10*60/5 || got > 10*60/5*2 {
				t.Errorf("p%d was retried %d times in ten hours, want once in 2.5 to 5 minutes", n, got)
			}
			if left := s.get(fmt.Sprint("p", n+10)).Expires.Sub(w.local()); left < 30*time.Minute-time.Second {
				t.Errorf("p%d has %v left", n+10, left)
			}
		}
	})
}

// TestSet: what comes and goes disturbs nobody.
func TestSet(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := &shelf{}, &shelf{}
		list := named(w, 4, nil)
		r := launch(t, w, Options{Profiles: list[:3], Deliveries: []Delivery{a, b}})
		pass(time.Minute)
		kept, replaced, gone := a.get("p0"), a.get("p1"), a.get("p2")
		other := &issuer{world: w, life: time.Hour, latency: 10 * time.Second}
		if err := r.Set([]Profile{list[3], {"p1", other}, list[0]}); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if a.get("p0") != kept || a.get("p1") != replaced || gone == (aws.Credentials{}) {
			t.Error("a change of the list changed what stays")
		}
		for _, s := range []*shelf{a, b} {
			if c, ok := s.taken("p2"); !ok || c != (aws.Credentials{}) {
				t.Errorf("removed: delivered %v, %v, want the name with no credentials", c, ok)
			}
			if !s.get("p3").HasKeys() {
				t.Error("the new one was not delivered")
			}
		}
		if es := r.seen(Removed); len(es) != 1 || es[0].Profile != "p2" {
			t.Errorf("removed: %v, want p2", es)
		}
		pass(10 * time.Second)
		if c := a.get("p1"); c == replaced || !c.HasKeys() {
			t.Error("no credentials of the other source")
		}
		asked := list[2].Source.(*issuer).asked()
		pass(5 * time.Hour)
		if got := list[2].Source.(*issuer).asked(); got != asked {
			t.Error("the source of a removed profile is still called")
		}
		for _, name := range []string{"p0", "p1", "p3"} {
			if left := a.get(name).Expires.Sub(w.local()); left < 30*time.Minute-time.Second {
				t.Errorf("%s has %v left", name, left)
			}
		}
		r.count(Expired, 0)
		r.count(Failed, 0)
		if err := r.Set(nil); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		r.count(Removed, 4)
		if err := r.Set(list[:1]); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if !a.get("p0").HasKeys() {
			t.Error("a profile that came back was not delivered")
		}
		if err := r.Set([]Profile{list[0], list[0]}); err == nil {
			t.Error("a list with a name twice was taken")
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSetWhileBusy: a list changes while calls are under way, and deliveries fail.
func TestSetWhileBusy(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var full atomic.Bool
		s := &shelf{deliver: func(context.Context, int) error {
			if full.Load() {
				return errTransient
			}
			return nil
		}}
		list := named(w, 3, nil)
		slow := &watched{issuer: issuer{world: w, life: time.Hour, latency: 20 * time.Second}, changed: make(chan func(), 1), left: make(chan struct{})}
		r := launch(t, w, Options{Profiles: []Profile{list[0], {"slow", slow}}, Require: 1, Deliveries: []Delivery{s}})
		pass(5 * time.Second)
		changed := <-slow.changed
		if err := r.Set(list); err != nil { // the call of slow is under way
			t.Fatal(err)
		}
		pass(30 * time.Second)
		if s.get("slow").HasKeys() {
			t.Error("credentials of a removed profile were delivered")
		}
		select {
		case <-slow.left:
		default:
			t.Error("the source of a removed profile is still watched")
		}
		changed()
		pass(time.Minute)
		if got := slow.asked(); got != 1 {
			t.Errorf("the source of a removed profile was called %d times, want once", got)
		}
		r.count(Removed, 1)

		// It comes back before its going was delivered.
		before := s.get("p1")
		full.Store(true)
		r.Set(list[:1])
		pass(10 * time.Second)
		r.count(Removed, 1)
		r.Set(list[:2])
		pass(10 * time.Second)
		full.Store(false)
		pass(maxDeliveryBackoff + time.Second)
		if c := s.get("p1"); !c.HasKeys() || c == before {
			t.Errorf("p1 has %v, want new credentials", c)
		}
		if c, ok := s.taken("p2"); !ok || c.HasKeys() {
			t.Error("the one that went was not taken away")
		}
		r.count(Removed, 2)
		pass(3 * time.Hour)
		if left := s.get("p1").Expires.Sub(w.local()); left < 30*time.Minute-time.Second {
			t.Errorf("p1 has %v left", left)
		}
		r.count(Expired, 0)
	})
}

// TestSetAtStart: a denied one that is taken out of the list no longer holds up the start.
func TestSetAtStart(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		list := named(w, 5, func(n int, i *issuer) {
			if n == 0 {
				i.fail = func(int) error { return errTransient }
			}
		})
		r := launch(t, w, Options{Profiles: list, Deliveries: []Delivery{&shelf{}}})
		pass(10 * time.Second)
		if r.isReady() {
			t.Fatal("ready without p0")
		}
		r.Set(list[1:])
		if !r.isReady() {
			t.Error("not ready without p0 in the list")
		}
		pass(time.Hour)
	})
}

// uncomparable is a source that == panics for.
type uncomparable struct {
	aws.CredentialsProvider
	_ []int
}

func TestSameSource(t *testing.T) {
	t.Parallel()
	a, b := &issuer{}, &issuer{}
	if !sameSource(a, a) || sameSource(a, b) || sameSource(a, black{}) || sameSource(uncomparable{}, uncomparable{}) {
		t.Error("sources are confused")
	}
}

// TestRefreshNow gives what Refresh returns, and when.
func TestRefreshNow(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var down, same, full atomic.Bool
		s := &shelf{deliver: func(context.Context, int) error {
			if full.Load() {
				return errTransient
			}
			return nil
		}}
		list := named(w, 3, func(n int, i *issuer) {
			i.latency = 2 * time.Second
			i.fail = func(int) error {
				if down.Load() && n > 0 {
					return errDenied
				}
				return nil
			}
			i.edit = func(_ int, c aws.Credentials) aws.Credentials {
				if same.Load() {
					c = s.get(fmt.Sprint("p", n))
				}
				return c
			}
		})
		r := launch(t, w, Options{Profiles: list, Deliveries: []Delivery{s}})
		pass(time.Minute)
		check := func(what string, names []string, want string, took time.Duration) {
			t.Helper()
			before := s.get("p0")
			begin := time.Now()
			err := r.Refresh(t.Context(), names)
			if !strings.HasSuffix(fmt.Sprint(err), want) || time.Since(begin) != took {
				t.Errorf("%s: %v after %v, want %s after %v", what, err, time.Since(begin), want, took)
			}
			if changed := s.get("p0") != before; err == nil && (names == nil || len(names) > 0) && !same.Load() && !changed {
				t.Errorf("%s: returned before new credentials were delivered", what)
			}
			pass(time.Minute)
		}
		check("all", []string{"p0", "p1", "p2"}, "<nil>", 2*time.Second)
		check("one", []string{"p0"}, "<nil>", 2*time.Second)
		check("unknown", []string{"p0", "x"}, `no profile "x"`, 0)
		check("none", []string{}, "<nil>", 0)
		down.Store(true)
		check("two of three denied", nil, `": api error AccessDenied (and 1 profile more)`, 2*time.Second)
		check("the one that is not", []string{"p0", "p0"}, "<nil>", 2*time.Second)
		down.Store(false)
		pass(maxSlowBackoff) // or a retry would be under way
		same.Store(true)
		check("the same again", nil, "<nil>", 2*time.Second)
		same.Store(false)
		full.Store(true)
		check("not delivered", []string{"p0"}, `profile "p0": deliver credentials: connection refused`, 2*time.Second)
		full.Store(false)
		pass(time.Minute)

		// A call that began before does not count.
		go r.Refresh(t.Context(), []string{"p0"})
		pass(time.Second)
		check("while another is under way", []string{"p0"}, "<nil>", time.Second+minPoll+2*time.Second)

		go func() { pass(time.Second); r.Set(list[1:]) }()
		check("removed meanwhile", []string{"p0"}, `profile "p0": removed from the list`, time.Second)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Refresh(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Refresh = %v, want that its context has ended", err)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if err := r.Refresh(t.Context(), nil); err == nil {
			t.Error("Refresh of an engine that has ended = nil")
		}
	})
}

// who is a source that knows whose credentials it gives.
type who struct{ issuer }

func (w *who) Identity() (arn, session string) {
	return fmt.Sprint("arn:aws:sts::1:assumed-role/R/S", w.calls), fmt.Sprint("S", w.calls)
}

func TestEventFields(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		src := &who{issuer{world: w, life: time.Hour, latency: 3 * time.Second, fail: func(call int) error {
			if call == 2 {
				return fmt.Errorf("assume: %w", errDenied)
			}
			return nil
		}}}
		r := launch(t, w, Options{Profiles: one(src), Deliveries: []Delivery{&shelf{}}})
		pass(35 * time.Minute)
		got := r.seen(Refreshed)
		if len(got) != 2 {
			t.Fatalf("events %v", got)
		}
		for n, e := range got {
			call := 1 + 2*n
			if e.Identity != fmt.Sprint("arn:aws:sts::1:assumed-role/R/S", call) || e.Session != fmt.Sprint("S", call) || e.Took != 3*time.Second || len(e.KeyID) < 16 || strings.Contains(e.KeyID, "…") {
				t.Errorf("event %+v", e)
			}
		}
		if es := r.seen(Failed); len(es) != 1 || es[0].RequestID != "r-1" || es[0].Took != 3*time.Second || es[0].Session != "S1" || es[0].KeyID != got[0].KeyID {
			t.Errorf("failures %+v, want one, with the request id and what is kept", es)
		}
	})
}
