package refresh

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// counter is the cheapest source that gives new credentials each time.
type counter struct{ n int }

func (c *counter) Retrieve(context.Context) (aws.Credentials, error) {
	c.n++
	return aws.Credentials{
		AccessKeyID: strconv.Itoa(c.n), SecretAccessKey: "s", SessionToken: "t",
		CanExpire: true, Expires: time.Now().Add(time.Hour),
	}, nil
}

type discard struct{ n int }

func (s *discard) Deliver(_ context.Context, creds map[string]aws.Credentials) error {
	s.n += len(creds)
	return nil
}

// BenchmarkStart is the way to the first credentials of one profile, with three deliveries: by
// goroutines, and in that of the caller.
func BenchmarkStart(b *testing.B) {
	for _, start := range []bool{false, true} {
		b.Run(fmt.Sprintf("start=%v", start), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ctx, cancel := context.WithCancel(b.Context())
				e := New(Options{Profiles: []Profile{{"a", &counter{}}}, Deliveries: []Delivery{&discard{}, &discard{}, &discard{}}})
				ended := make(chan error, 1)
				if start {
					ended <- e.Start(ctx)
				} else {
					go func() { ended <- e.Run(ctx) }()
				}
				<-e.Ready()
				cancel()
				if err := <-ended; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEngine is what the engine adds to one refresh of one profile among
// many: a round of the loop from due to delivered, without the sleep.
func BenchmarkEngine(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("profiles=%d", n), func(b *testing.B) {
			var profiles []Profile
			for i := range n {
				profiles = append(profiles, Profile{strconv.Itoa(i), &counter{}})
			}
			taken, refreshed := &discard{}, 0
			o := New(Options{Profiles: profiles, Deliveries: []Delivery{taken}, Notify: func(e Event) {
				if e.Kind == Refreshed {
					refreshed++
				}
			}}).opts
			s, err := newSchedule(o, o.Profiles)
			if err != nil {
				b.Fatal(err)
			}
			ctx := b.Context()
			round := func() {
				s.wake()
				s.retrieveDue(ctx)
				for s.busy > 0 {
					a := <-s.retrieved
					s.tick()
					if err := s.handleRetrieve(a); err != nil {
						b.Fatal(err)
					}
					s.retrieveDue(ctx)
				}
				s.deliverDue(ctx)
				r := <-s.delivered
				s.tick()
				if err := s.handleDeliver(r); err != nil {
					b.Fatal(err)
				}
				if s.sleep() <= 0 {
					b.Fatal("no sleep")
				}
			}
			round() // the first credentials of all
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				p := s.profiles[i%n]
				p.due, p.early = s.wall, true // or its delivery would wait for others
				s.reschedule(p)
				round()
				i++
			}
			if want := i + n; taken.n != want || refreshed != want {
				b.Fatalf("%d credentials delivered and %d refreshed, want %d", taken.n, refreshed, want)
			}
		})
	}
}

// BenchmarkHeartbeat is what an idle engine does every 30 seconds.
func BenchmarkHeartbeat(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("profiles=%d", n), func(b *testing.B) {
			var profiles []Profile
			for i := range n {
				profiles = append(profiles, Profile{strconv.Itoa(i), &counter{}})
			}
			s, err := newSchedule(New(Options{Deliveries: []Delivery{&discard{}}}).opts, profiles)
			if err != nil {
				b.Fatal(err)
			}
			for _, p := range s.profiles {
				p.due = s.wall.Add(time.Hour)
				s.reschedule(p)
			}
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				s.tick()
				s.wake()
				s.retrieveDue(ctx)
				s.deliverDue(ctx)
				if err := s.overdue(); err != nil {
					b.Fatal(err)
				}
				if !s.wakeups[0].at.After(s.wall) {
					b.Fatal("something was due")
				}
			}
		})
	}
}

// issued is counter as STS: it issues its credentials, with a token of a usual length.
type issued struct{ counter }

func (c *issued) Issued() bool { return true }

func (c *issued) Retrieve(ctx context.Context) (aws.Credentials, error) {
	creds, err := c.counter.Retrieve(ctx)
	creds.SessionToken = strings.Repeat("t", 800)
	return creds, err
}

// BenchmarkHour is an hour of many profiles in virtual time, from the first credentials on:
// what the engine costs, how often sources are called, and how much a delivery
// writes if it writes all that there is each time. These are custom metrics.
func BenchmarkHour(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("profiles=%d", n), func(b *testing.B) {
			calls, writes, sets := 0, 0, 0
			for b.Loop() {
				s := newVirtual(b, n)
				s.run(10 * time.Minute) // the start, and the time without any
				calls0, writes0, sets0 := s.calls, s.writes, s.sets
				s.run(24 * time.Hour)
				calls, writes, sets = calls+s.calls-calls0, writes+s.writes-writes0, sets+s.sets-sets0
			}
			hours := float64(b.N) * 24
			b.ReportMetric(float64(calls)/hours, "calls/hour")
			b.ReportMetric(float64(writes)/hours, "deliveries/hour")
			b.ReportMetric(float64(sets)/hours, "sets-written/hour")
		})
	}
}

// virtual drives a schedule without a goroutine: calls take no time.
type virtual struct {
	*schedule
	b                   *testing.B
	at                  time.Time
	calls, writes, sets int
}

func newVirtual(b *testing.B, n int) *virtual {
	v := &virtual{b: b, at: fleetBegin}
	var ps []Profile
	for i := range n {
		ps = append(ps, Profile{strconv.Itoa(i), black{}})
	}
	o := New(Options{Deliveries: []Delivery{&discard{}}}).opts
	o.testOnlyNow = func() time.Time { return v.at }
	s, err := newSchedule(o, ps)
	if err != nil {
		b.Fatal(err)
	}
	v.schedule = s
	v.mono = v.at
	return v
}

func (v *virtual) run(d time.Duration) {
	for end := v.at.Add(d); v.at.Before(end); {
		v.wall, v.mono = v.at, v.at
		v.wake()
		for p, retry := v.take(); p != nil; p, retry = v.take() {
			v.calls++
			creds := aws.Credentials{AccessKeyID: "a", SecretAccessKey: strconv.Itoa(v.calls), CanExpire: true, Expires: v.at.Add(time.Hour)}
			if err := v.handleRetrieve(retrieveResult{feed: p.feed, creds: creds, issued: true, retry: retry}); err != nil {
				v.b.Fatal(err)
			}
		}
		for t, updates := range v.dueDeliveries() {
			v.writes++
			v.sets += len(v.profiles)
			if err := v.handleDeliver(deliverResult{sink: t, updates: updates}); err != nil {
				v.b.Fatal(err)
			}
		}
		v.at = v.at.Add(v.sleep())
	}
}

// TestPerProfile measures what a profile costs: memory, and goroutines.
func TestPerProfile(t *testing.T) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, n := range []int{1, 10, 100, 1000} {
		before, goroutines := heap(), runtime.NumGoroutine()
		var ps []Profile
		for i := range n {
			ps = append(ps, Profile{strconv.Itoa(i), &issued{}})
		}
		e := New(Options{Profiles: ps, Deliveries: []Delivery{&discard{}}})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		<-e.Ready()
		if err := e.Alive(ctx); err != nil { // the loop is done with all
			t.Fatal(err)
		}
		bytes := (int64(heap()) - int64(before)) / int64(n)
		t.Logf("%d profiles: %d bytes each, of them 1,000 or so a token; %d goroutines", n, bytes, runtime.NumGoroutine()-goroutines)
		if got := runtime.NumGoroutine() - goroutines; got > 10 {
			t.Errorf("%d goroutines for %d profiles, want as many as for one", got, n)
		}
		if n == 1000 && bytes > 6000 {
			t.Errorf("%d bytes for each profile, want 6,000 at most", bytes)
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		runtime.KeepAlive(ps)
	}
}
