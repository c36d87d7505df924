package refresh

import (
	"context"
	"fmt"
	"strconv"
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

// BenchmarkEngine is what the engine adds to one refresh of one profile among
// many: a round of the loop from due to delivered, without the sleep.
func BenchmarkEngine(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
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
				p.due = s.wall
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
	for _, n := range []int{1, 1000} {
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
				if s.sleep() != maxSleep {
					b.Fatal("something was due")
				}
			}
		})
	}
}
