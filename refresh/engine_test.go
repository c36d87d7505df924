package refresh

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestDay keeps 500 profiles of several lives for a day, from sources that always
// answer: whatever is held is replaced while the margin is left, and no earlier
// than the jitter allows.
func TestDay(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		lives := []time.Duration{15 * time.Minute, time.Hour, time.Hour, 2 * time.Hour, 12 * time.Hour}
		const n, day, latency = 500, 24 * time.Hour, 120 * time.Millisecond
		// The queue for a worker at the start, when all come at once.
		const tolerance = latency*(n/defaultWorkers+1) + coalesceWindow
		var profiles []Profile
		byName := make(map[string]time.Duration)
		least := 0
		for i := range n {
			name, life := fmt.Sprint("p", i), lives[i%len(lives)]
			byName[name] = life
			least += int(day / (life - Policy{}.Margin(life))) // refreshes without jitter; the first makes it one more
			profiles = append(profiles, Profile{name, &issuer{world: w, life: life, latency: latency}})
		}
		s := &shelf{}
		s.replace = func(name string, old, _ aws.Credentials) {
			if old.AccessKeyID == "" {
				return
			}
			m := Policy{}.Margin(byName[name])
			if left := old.Expires.Sub(w.local()); left < m-tolerance || left > m+m/10+tolerance {
				t.Errorf("%s was replaced with %v left, want %v to %v", name, left, m, m+m/10)
			}
		}
		r := launch(t, w, Options{Profiles: profiles, Deliveries: []Delivery{s}})
		for range 24 * 60 {
			pass(time.Minute)
			for name, life := range byName {
				if left, m := s.get(name).Expires.Sub(w.local()), (Policy{}).Margin(life); left < m-tolerance {
					t.Fatalf("%s holds credentials with %v left, want %v", name, left, m)
				}
			}
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if got := int(w.asked.Load()); got < least || got > least*112/100+n {
			t.Errorf("sources were asked %d times, want %d to %d", got, least, least*112/100+n)
		}
		if got := w.most.Load(); got != defaultWorkers {
			t.Errorf("%d sources were asked at the same time, want %d", got, defaultWorkers)
		}
		r.count(Failed, 0)
		r.count(Expired, 0)
		r.count(ClockStep, 0)
		r.count(Short, n/len(lives))
		if got, want := len(r.seen(Refreshed)), int(w.asked.Load()); got > want || got < want-defaultWorkers {
			t.Errorf("%d events %q for %d answers", got, Refreshed, want)
		}
	})
}

// TestOutage is 45 minutes without an answer, longer than the margin of some.
func TestOutage(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var down atomic.Bool
		fail := func(int) error {
			if down.Load() {
				return errTransient
			}
			return nil
		}
		s := &shelf{}
		r := launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: []Profile{
			{"long", &issuer{world: w, life: 12 * time.Hour, fail: fail}},
			{"hour", &issuer{world: w, life: time.Hour, fail: fail}},
			{"short", &issuer{world: w, life: 15 * time.Minute, fail: fail}},
		}})
		pass(20 * time.Minute)
		long, hour := s.get("long"), s.get("hour")
		down.Store(true)
		pass(44 * time.Minute) // the hour's credentials expired 4 minutes ago

		if s.get("long") != long || s.get("hour") != hour {
			t.Error("credentials were changed during the outage, want the last good ones")
		}
		ended := map[string]int{}
		for _, e := range r.seen(Expired) {
			ended[e.Profile]++
			if e.Time.Sub(e.Expires) > time.Millisecond {
				t.Errorf("told of the end %v late: %v", e.Time.Sub(e.Expires), e)
			}
		}
		if ended["long"] != 0 || ended["hour"] != 1 || ended["short"] != 1 || len(ended) != 2 {
			t.Errorf("ends told: %v, want one for each of hour and short", ended)
		}
		attempts := map[string]int{}
		for _, e := range r.seen(Failed) {
			if attempts[e.Profile]++; e.Attempt != attempts[e.Profile] {
				t.Errorf("failure has attempt %d, want %d: %v", e.Attempt, attempts[e.Profile], e)
			}
			if !errors.Is(e.Err, errTransient) || e.Permanent || e.First || e.Next.Sub(e.Time) > 2*maxBackoff {
				t.Errorf("failure %+v, want a transient one with a next time within %v", e, 2*maxBackoff)
			}
			if want := s.get(e.Profile); !e.Expires.Equal(want.Expires) {
				t.Errorf("failure has expires %v, want that of those that are kept, %v", e.Expires, want.Expires)
			}
		}
		// 34 minutes of waits that are 30 s in the mean, and longer at first.
		if got := attempts["hour"]; got < 30 || got > 160 {
			t.Errorf("the hour's source was asked %d times in the outage, want about 75", got)
		}

		pass(time.Minute)
		down.Store(false)
		pass(maxBackoff + time.Second)
		for _, name := range []string{"hour", "short"} {
			got := s.get(name).Expires.Sub(w.local())
			if life := map[string]time.Duration{"hour": time.Hour, "short": 15 * time.Minute}[name]; got < life-maxBackoff-time.Second {
				t.Errorf("%s: %v left a minute after the outage, want new credentials", name, got)
			}
		}
		recovered := 0
		for _, e := range r.seen(Refreshed) {
			if e.Attempt > 0 {
				recovered++
				if e.Attempt < attempts[e.Profile] {
					t.Errorf("recovery has attempt %d, want at least %d: %v", e.Attempt, attempts[e.Profile], e)
				}
			}
		}
		if recovered != 2 {
			t.Errorf("%d recoveries, want 2", recovered)
		}
	})
}

// TestStorm: everything fails at once for an hour, and the answers take a while.
func TestStorm(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const n, workers, latency = 500, 8, 50 * time.Millisecond
		var down atomic.Bool
		var profiles []Profile
		for i := range n {
			profiles = append(profiles, Profile{fmt.Sprint("p", i), &issuer{world: w, life: time.Hour, latency: latency, fail: func(int) error {
				if down.Load() {
					return fmt.Errorf("request %d: ThrottlingException: rate exceeded", i)
				}
				return nil
			}}})
		}
		s := &shelf{}
		r := launch(t, w, Options{Profiles: profiles, Deliveries: []Delivery{s}, Workers: workers})
		pass(10 * time.Minute)
		if !r.isReady() {
			t.Fatal("not ready")
		}
		// A long suspend makes all due in the same moment.
		down.Store(true)
		w.suspend(45 * time.Minute)
		pass(time.Hour)
		if got := w.most.Load(); got != workers {
			t.Errorf("%d sources were asked at the same time, want %d", got, workers)
		}

		perSecond := map[int64]int{}
		w.mu.Lock()
		since := time.Now().Add(-50 * time.Minute)
		for _, at := range w.times {
			if at.After(since) {
				perSecond[at.Unix()]++
			}
		}
		w.mu.Unlock()
		most, total := 0, 0
		for _, k := range perSecond {
			most, total = max(most, k), total+k
		}
		mean := float64(total) / (50 * 60)
		if mean < 2 || mean > 5 { // 500 in waits of 150 s in the mean
			t.Errorf("%.1f calls in a second, want about 3.3", mean)
		}
		if most > 20 {
			t.Errorf("%d calls in one second, with %.1f in the mean: they came together", most, mean)
		}
		down.Store(false)
		pass(maxBackoff + 10*time.Second)
		for _, p := range profiles {
			if left := s.get(p.Name).Expires.Sub(w.local()); left < 50*time.Minute {
				t.Errorf("%s has %v left after the storm", p.Name, left)
			}
		}
	})
}

// TestSeconds: lives of seconds are kept as well, also after an outage.
func TestSeconds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for _, life := range []time.Duration{2 * time.Second, 20 * time.Second} {
			s := &shelf{replace: func(_ string, old, _ aws.Credentials) {
				if old.AccessKeyID == "" {
					return
				}
				if left := old.Expires.Sub(w.local()); left < life/2-2*minSleep {
					t.Errorf("life %v: replaced with %v left", life, left)
				}
			}}
			r := launch(t, w, Options{Profiles: one(&issuer{world: w, life: life}), Deliveries: []Delivery{s}})
			pass(10 * time.Minute)
			low := int(10 * time.Minute / (life / 2))
			if got := len(r.seen(Refreshed)); got < low || got > low*112/100+1 {
				t.Errorf("life %v: %d refreshes in 10 minutes, want %d and up to 12%% more", life, got, low)
			}
			r.count(Expired, 0)
			r.count(Short, 1)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestRefreshBefore(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := &shelf{}
		launch(t, w, Options{Profiles: one(&issuer{world: w, life: time.Hour}), Deliveries: []Delivery{s}, Policy: Policy{Before: 10 * time.Minute}})
		pass(48 * time.Minute)
		first := s.get("a")
		if left := first.Expires.Sub(w.local()); left != 12*time.Minute {
			t.Errorf("%v left after 48 minutes, want 12: it was refreshed before its time", left)
		}
		pass(2*time.Minute + time.Second)
		if s.get("a") == first {
			t.Error("not refreshed 10 minutes before the end")
		}
	})
}

func TestCancel(t *testing.T) {
	tests := []struct {
		name    string
		hang    func(ctx context.Context, call int)
		deliver func(ctx context.Context, call int) error
		within  time.Duration
	}{
		{"idle", nil, nil, 0},
		{"asking", func(ctx context.Context, n int) {
			if n > 1 {
				<-ctx.Done()
			}
		}, nil, 0},
		{"delivering", nil, func(ctx context.Context, n int) error {
			if n > 1 {
				<-ctx.Done()
			}
			return nil
		}, 0},
		{"at the first question", func(ctx context.Context, n int) { <-ctx.Done() }, nil, 0},
		{"a source that does not listen", func(_ context.Context, n int) {
			if n > 1 {
				time.Sleep(time.Hour)
			}
		}, nil, retrieveGrace},
		{"a delivery that does not listen", nil, func(_ context.Context, n int) error {
			if n > 1 {
				time.Sleep(time.Hour)
			}
			return nil
		}, deliverGrace},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				begin := time.Now()
				s := &shelf{deliver: tt.deliver}
				r := launch(t, w, Options{
					Profiles:   one(&issuer{world: w, life: time.Hour, hang: tt.hang}),
					Deliveries: []Delivery{s},
					// Longer than the test waits.
					StartTimeout: 3 * time.Hour, RetrieveTimeout: 3 * time.Hour,
				})
				pass(20 * time.Minute)
				for time.Since(begin) < 30*time.Minute && (len(s.calls()) < 2 || tt.deliver == nil) {
					pass(time.Second) // to the middle of the second round
				}
				events := len(r.events)
				before := time.Now()
				if err := r.stop(); err != nil {
					t.Errorf("Run = %v, want nil", err)
				}
				if took := time.Since(before); took != tt.within {
					t.Errorf("Run returned %v after the end of its context, want %v", took, tt.within)
				}
				if got := w.now.Load(); got != 0 && tt.within == 0 {
					t.Errorf("%d calls are open after Run returned", got)
				}
				if got := len(r.events); got != events {
					t.Errorf("the end of the context is an event: %v", r.events[events:])
				}
				pass(2 * time.Hour) // so that the deaf ones end
			})
		})
	}
}

// TestCallContext: what a source leaves behind on its context ends with the call.
func TestCallContext(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var call context.Context
		r := launch(t, w, Options{Profiles: one(&issuer{world: w, life: time.Hour, hang: func(ctx context.Context, _ int) { call = ctx }})})
		pass(time.Second)
		if !r.isReady() || call.Err() == nil {
			t.Errorf("ready %v, context of the call %v, want it to have ended", r.isReady(), call.Err())
		}
	})
}

func TestRunMisused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		i := &issuer{world: w, life: time.Hour}
		for name, ps := range map[string][]Profile{
			"none": nil, "no source": {{Name: "a"}}, "same name": {{"a", i}, {"a", i}},
		} {
			if err := New(Options{Profiles: ps}).Run(t.Context()); err == nil {
				t.Errorf("%s: Run = nil, want an error", name)
			}
		}
		r := launch(t, w, Options{Profiles: one(i)})
		pass(time.Second)
		if err := r.Run(t.Context()); err == nil {
			t.Error("second Run = nil, want an error")
		}
		if !r.isReady() {
			t.Error("without deliveries the first credentials do not make it ready")
		}
	})
}
