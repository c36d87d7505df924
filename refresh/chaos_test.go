package refresh

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestChaos does whatever can happen to a machine in random order. Whenever all
// has been well for seven minutes, the child must hold credentials with the margin left, on
// the servers' clock and by what readers see; and at no time may a source be asked
// without end.
func TestChaos(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				rnd := rand.New(rand.NewPCG(seed, 0))
				var down, full atomic.Bool
				ends := map[string]time.Time{} // by key, on the servers' clock
				lives := map[string]time.Duration{"s": 20 * time.Second, "m": 15 * time.Minute, "h": time.Hour, "d": 12 * time.Hour}
				var profiles []Profile
				for name, life := range lives {
					profiles = append(profiles, Profile{name, &issuer{world: w, life: life, skewed: true,
						latency: time.Duration(rnd.IntN(300)) * time.Millisecond,
						hang: func(ctx context.Context, call int) {
							if down.Load() && call%3 == 0 {
								<-ctx.Done()
							}
						},
						fail: func(call int) error {
							if down.Load() {
								return errTransient
							}
							return nil
						},
					}})
				}
				s := &shelf{
					deliver: func(context.Context, int) error {
						if full.Load() {
							return errTransient
						}
						return nil
					},
					replace: func(_ string, _, c aws.Credentials) {
						if ends[c.AccessKeyID].IsZero() {
							ends[c.AccessKeyID] = c.Expires.Add(w.true().Sub(w.local()))
						}
					},
				}
				r := launch(t, w, Options{Profiles: profiles, Deliveries: []Delivery{s}})
				pass(time.Second)
				if !r.isReady() {
					t.Fatal("not ready")
				}
				begin := w.true()
				for range 60 {
					var what string
					switch d := time.Duration(rnd.Int64N(int64(3 * time.Hour))); rnd.IntN(5) {
					case 0:
						what = fmt.Sprint("suspend ", d)
						w.suspend(d)
					case 1:
						what = fmt.Sprint("clock ahead ", d)
						w.set(d)
					case 2:
						what = fmt.Sprint("clock back ", d)
						w.set(-d)
					case 3:
						what = fmt.Sprint("network down ", d)
						down.Store(true)
						pass(d)
					case 4:
						what = fmt.Sprint("disk full ", d)
						full.Store(true)
						pass(d)
					}
					if rnd.IntN(2) == 0 {
						// The next one comes on top, but after the step was seen: a suspend
						// and a correction that hide each other can't be told from less.
						pass(maxSleep + time.Duration(rnd.Int64N(int64(time.Minute))))
						continue
					}
					down.Store(false)
					full.Store(false)
					pass(2*time.Minute + retrieveGrace + maxPatience)
					for name, life := range lives {
						c, m := s.get(name), Policy{}.Margin(life)-time.Second
						s.mu.Lock()
						end := ends[c.AccessKeyID]
						s.mu.Unlock()
						if left := end.Sub(w.true()); left < m {
							t.Errorf("after %s: %s has credentials with %v left on the server's clock, want %v", what, name, left, m)
						}
						if left := c.Expires.Sub(w.local()); left < m || left > life {
							t.Errorf("after %s: readers see %v left of %s, want %v to %v", what, left, name, m, life)
						}
					}
				}
				// Refreshes of the shortest and failures of all are a few a minute each.
				if got, most := float64(w.asked.Load()), w.true().Sub(begin).Minutes()*20+600; got > most {
					t.Errorf("asked %.0f times, want less than %.0f", got, most)
				}
			})
		})
	}
}
