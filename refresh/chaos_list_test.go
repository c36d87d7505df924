package refresh

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// TestChaosList changes the list in random order while sources hang and fail, and deliveries
// too, and asks for refreshes. Whenever all has been well for some minutes, exactly what is in the
// list is delivered, and it is fresh.
func TestChaosList(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				var down, full atomic.Bool
				source := func() *maker {
					latency := time.Duration(rnd.IntN(500)) * time.Millisecond
					return &maker{issuer{world: w, life: time.Hour, latency: latency,
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
					}}
				}
				deliver := func(context.Context, int) error {
					if time.Sleep(30 * time.Millisecond); full.Load() {
						return errTransient
					}
					return nil
				}
				shelves := []*shelf{{deliver: deliver}, {}}
				list := map[string]*maker{}
				current := func() (ps []Profile) {
					for name, m := range list {
						ps = append(ps, Profile{name, m})
					}
					return ps
				}
				for n := range 20 {
					list[fmt.Sprint("p", n)] = source()
				}
				r := launch(t, w, Options{Profiles: current(), Deliveries: []Delivery{shelves[0], shelves[1]}, Require: 1})
				pass(time.Second)
				seen := map[string]bool{}
				for range 80 {
					down.Store(rnd.IntN(3) == 0)
					full.Store(rnd.IntN(3) == 0)
					for range rnd.IntN(4) {
						for range rnd.IntN(10) {
							name := fmt.Sprint("p", rnd.IntN(40))
							seen[name] = true
							if _, ok := list[name]; ok && rnd.IntN(2) == 0 {
								delete(list, name)
							} else {
								list[name] = source()
							}
						}
						if err := r.Set(current()); err != nil {
							t.Fatal(err)
						}
						go func() {
							ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
							defer cancel()
							r.Refresh(ctx, nil)
						}()
						pass(time.Duration(rnd.Int64N(int64(time.Second))))
					}
					pass(time.Duration(rnd.Int64N(int64(20 * time.Minute))))
					if rnd.IntN(2) == 0 {
						continue
					}
					down.Store(false)
					full.Store(false)
					pass(maxPatience + 3*time.Minute)
					if err := r.Refresh(t.Context(), nil); err != nil {
						t.Errorf("Refresh = %v when all is well", err)
					}
					for name := range seen {
						for _, s := range shelves {
							c, _ := s.taken(name)
							m := list[name]
							switch {
							case m == nil && c.HasKeys():
								t.Errorf("%s is delivered, and is not in the list", name)
							case m != nil && (!c.HasKeys() || c.Expires.Sub(w.local()) < 59*time.Minute):
								t.Errorf("%s has credentials with %v left", name, c.Expires.Sub(w.local()))
							case m != nil && c.AccessKeyID != fmt.Sprintf("ASIA%p%06d", &m.issuer, m.asked()):
								t.Errorf("%s has credentials of another source, or not the last of it", name)
							}
						}
					}
				}
				if err := r.stop(); err != nil {
					t.Fatal(err)
				}
				pass(2 * time.Minute)
			})
		})
	}
}
