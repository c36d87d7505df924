package refresh

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// maker is a source that issues its credentials when it is called, as STS does.
type maker struct{ issuer }

func (m *maker) Issued() bool { return true }

// thousand makes a thousand profiles with the latency of STS.
func thousand(w *world, edit func(n int, m *maker)) []Profile {
	var ps []Profile
	for n := range 1000 {
		m := &maker{issuer{world: w, life: time.Hour, latency: 50 * time.Millisecond}}
		if edit != nil {
			edit(n, m)
		}
		ps = append(ps, Profile{fmt.Sprint("p", n), m})
	}
	return ps
}

// seeded draws the same numbers in each run: a test that counts calls in a minute would miss
// its bounds by chance, once in some hundred runs.
func seeded() func() float64 { return rand.New(rand.NewPCG(1, 2)).Float64 }

// TestManyStart: a thousand start in the time that their calls take, and with few rewrites,
// though one takes as long as it would on a disk.
func TestManyStart(t *testing.T) {
	for _, require := range []int{0, 1, 900} {
		t.Run(fmt.Sprint("require ", require), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				const workers, latency = 8, 50 * time.Millisecond
				s := &shelf{}
				s.deliver = func(context.Context, int) error { time.Sleep(20 * time.Millisecond); return nil }
				begin := time.Now()
				r := launch(t, w, Options{Profiles: thousand(w, nil), Deliveries: []Delivery{s}, Require: require, Workers: workers})
				<-r.Ready()
				n := require
				if n == 0 {
					n = 1000
				}
				bound := time.Duration((n+workers-1)/workers) * latency
				if took := time.Since(begin); took > bound*11/10+40*time.Millisecond {
					t.Errorf("ready after %v, want %v and a tenth", took, bound)
				}
				pass(10 * time.Second)
				r.count(Refreshed, 1000)
				got := s.calls()
				if len(got) > 10 {
					t.Errorf("%d rewrites of %v for the first credentials, want a few", len(got), got)
				}
				held := 0 // what a file holds at each rewrite
				bytes := 0
				for _, n := range got {
					held += n
					bytes += held
				}
				if bytes > 4000 {
					t.Errorf("rewrites of %v write %d sets of credentials, want not much more than the thousand", got, bytes)
				}
				t.Log(got)
			})
		})
	}
}

// TestManySteady: STS sees a flat rate, the margin is kept, and files are rewritten a
// bounded number of times an hour.
func TestManySteady(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := &shelf{replace: func(name string, old, _ aws.Credentials) {
			if left := old.Expires.Sub(w.local()); old.AccessKeyID != "" && left < 30*time.Minute-time.Second {
				t.Errorf("%s was replaced with %v left, want the margin", name, left)
			}
		}}
		r := launch(t, w, Options{Profiles: thousand(w, nil), Deliveries: []Delivery{s}, testOnlyRand: seeded()})
		pass(time.Minute)
		start := len(s.calls())
		begin, asked := time.Now(), int(w.asked.Load())
		const hours = 6
		pass(hours * time.Hour)
		r.count(Failed, 0)
		r.count(Expired, 0)
		if got := len(s.calls()) - start; got > hours*31 {
			t.Errorf("%d rewrites in %d hours, want one in two minutes at most", got, hours)
		}
		// Not less than 26 minutes for each in the mean, once the phases are found.
		if got, most := int(w.asked.Load())-asked, 1000*hours*60/26; got > most {
			t.Errorf("%d calls in %d hours, want %d at most", got, hours, most)
		}
		var perMinute [hours * 60]int
		w.mu.Lock()
		for _, at := range w.times {
			if m := int(at.Sub(begin) / time.Minute); at.After(begin) && m < len(perMinute) {
				perMinute[m]++
			}
		}
		w.mu.Unlock()
		later := perMinute[60:]
		if low, high := slices.Min(later), slices.Max(later); low < 10 || high > 70 {
			t.Errorf("%d to %d calls a minute after the first hour, want about 36", low, high)
		}
		if high := slices.Max(perMinute[:60]); high > 120 {
			t.Errorf("%d calls in one minute of the first hour, want less than twice the rate", high)
		}
	})
}

// TestManyOutage: while nothing answers, few calls are made; then all recover in time, and
// not in one rush.
func TestManyOutage(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var down atomic.Bool
		s := &shelf{}
		r := launch(t, w, Options{Deliveries: []Delivery{s}, testOnlyRand: seeded(), Profiles: thousand(w, func(_ int, m *maker) {
			m.fail = func(int) error {
				if down.Load() {
					return errTransient
				}
				return nil
			}
		})})
		pass(4 * time.Hour)
		down.Store(true)
		asked := w.asked.Load()
		pass(20 * time.Minute)
		if got := w.asked.Load() - asked; got > 20*60*6 {
			t.Errorf("%d calls in 20 minutes without an answer, want less than six a second", got)
		}
		down.Store(false)
		asked = w.asked.Load()
		pass(5*time.Minute + 10*time.Second)
		r.count(Expired, 0)
		for n := range 1000 {
			if left := s.get(fmt.Sprint("p", n)).Expires.Sub(w.local()); left < 25*time.Minute {
				t.Errorf("p%d has %v left five minutes after the outage", n, left)
			}
		}
		if got := w.asked.Load() - asked; got > 1500 {
			t.Errorf("%d calls for about 700 that failed", got)
		}
		// And they do not stay together.
		w.mu.Lock()
		w.times = nil
		w.mu.Unlock()
		pass(3 * time.Hour)
		begin := time.Now()
		pass(time.Hour)
		var perMinute [60]int
		w.mu.Lock()
		for _, at := range w.times {
			if m := at.Sub(begin) / time.Minute; at.After(begin) && m < 60 {
				perMinute[m]++
			}
		}
		w.mu.Unlock()
		if high := slices.Max(perMinute[:]); high > 90 {
			t.Errorf("%d calls in one minute hours after an outage, want about 36", high)
		}
	})
}

// TestManyHang: more sources hang than there are workers. Each holds a worker once until its
// limit, and from then on all of them together no more than half.
func TestManyHang(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var hangs atomic.Bool
		s := &shelf{}
		r := launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: thousand(w, func(n int, m *maker) {
			if n%10 == 0 {
				m.hang = func(ctx context.Context, _ int) {
					if hangs.Load() {
						<-ctx.Done()
					}
				}
			}
		})})
		pass(time.Minute)
		hangs.Store(true)
		for range 4 * 60 {
			pass(time.Minute)
			for n := range 1000 {
				if left := s.get(fmt.Sprint("p", n)).Expires.Sub(w.local()); n%10 != 0 && left < 15*time.Minute {
					t.Fatalf("p%d has %v left while others hang", n, left)
				}
			}
		}
		r.count(Expired, 100)
	})
}

// TestUrgentFirst: of those that are due, the one nearest to its expiry comes first.
func TestUrgentFirst(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var order []string
		lives := []time.Duration{12 * time.Hour, 3 * time.Hour, 20 * time.Hour, 8 * time.Hour}
		var ps []Profile
		for n, life := range lives {
			name := fmt.Sprint("p", n)
			ps = append(ps, Profile{name, &issuer{world: w, life: life, latency: time.Second, fail: func(call int) error {
				if call > 1 {
					order = append(order, name)
				}
				return nil
			}}})
		}
		launch(t, w, Options{Profiles: ps, Deliveries: []Delivery{&shelf{}}, Workers: 1})
		pass(time.Minute)
		w.suspend(19 * time.Hour) // all are due
		pass(time.Minute)
		if fmt.Sprint(order) != "[p1 p3 p0 p2]" {
			t.Errorf("retrieved in the order %v, want the one that expires first", order)
		}
	})
}
