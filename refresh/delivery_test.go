package refresh

import (
	"context"
	"fmt"
	"io/fs"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestBurst: credentials that come while a sink is busy are one call, and one that is
// slow keeps neither the sources nor another target waiting.
func TestBurst(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const n = 100
		var profiles []Profile
		for i := range n {
			profiles = append(profiles, Profile{fmt.Sprint("p", i), &issuer{world: w, life: time.Hour, latency: 10 * time.Millisecond}})
		}
		slow := &shelf{deliver: func(context.Context, int) error { time.Sleep(20 * time.Second); return nil }}
		fast := &shelf{}
		r := launch(t, w, Options{Profiles: profiles, Deliveries: []Delivery{slow, fast}, StartTimeout: time.Minute})
		pass(time.Second)
		if got := w.asked.Load(); got != n {
			t.Errorf("asked %d sources in a second, want %d in spite of the slow delivery", got, n)
		}
		// 100 answers, 8 at a time, take 130 ms.
		if got := fast.calls(); fmt.Sprint(got) != "[100]" {
			t.Errorf("fast delivery got batches of %v, want one", got)
		}
		r.count(Refreshed, 0)
		pass(20 * time.Second)
		r.count(Refreshed, n)
		if !r.isReady() {
			t.Error("not ready")
		}

		// All come due in the minute of the jitter, and wait for each other.
		pass(40 * time.Minute)
		r.count(Refreshed, 2*n)
		for _, s := range []*shelf{slow, fast} {
			if got := s.calls(); len(got) > 4 {
				t.Errorf("%d batches of %v, want one or two more", len(got), got)
			}
		}
	})
}

// TestBurstGather: a source that takes long does not hold up the others' credentials.
func TestBurstGather(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		profiles := []Profile{{"slow", &issuer{world: w, life: time.Hour, latency: 25 * time.Second}}}
		for i := range 3 {
			latency := time.Duration(1+90*i) * time.Millisecond // 1, 91 and 181
			profiles = append(profiles, Profile{fmt.Sprint("p", i), &issuer{world: w, life: time.Hour, latency: latency}})
		}
		s := &shelf{}
		r := launch(t, w, Options{Profiles: profiles, Deliveries: []Delivery{s}})
		pass(200 * time.Millisecond)
		if got := s.calls(); len(got) != 0 {
			t.Errorf("batches %v within the time to gather, want none", got)
		}
		pass(2 * time.Millisecond)
		if got := s.calls(); fmt.Sprint(got) != "[3]" {
			t.Errorf("batches %v, want the three at once", got)
		}
		if r.isReady() {
			t.Error("ready without the slow one")
		}
		pass(25 * time.Second)
		if got := s.calls(); fmt.Sprint(got) != "[3 1]" || !r.isReady() {
			t.Errorf("batches %v, want [3 1], and ready", got)
		}
	})
}

// TestDeliveryFails: a disk that is full for a while. The sources are not asked
// again for it, the other sink gets all, and the newest credentials win.
func TestDeliveryFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var full atomic.Bool
		disk := &shelf{deliver: func(context.Context, int) error {
			if full.Load() {
				return &fs.PathError{Op: "write", Path: "/run/x", Err: syscall.ENOSPC}
			}
			return nil
		}}
		socket := &shelf{}
		i := &issuer{world: w, life: time.Hour}
		r := launch(t, w, Options{Profiles: one(i), Deliveries: []Delivery{disk, socket}})
		pass(time.Minute)
		full.Store(true)
		pass(35 * time.Minute) // one refresh
		first, second := disk.get("a"), socket.get("a")
		if first == second {
			t.Error("the socket was not served while the disk is full")
		}
		r.count(Refreshed, 1)
		es := r.seen(DeliveryFailed)
		if len(es) < 20 { // at least six minutes of waits of 7.5 s in the mean
			t.Errorf("%d failures of the delivery in 6 to 9 minutes, want about 60", len(es))
		}
		for n, e := range es {
			if wait := e.Next.Sub(e.Time); e.Attempt != n+1 || wait <= 0 || wait > maxDeliveryBackoff || e.Err == nil || e.Profile != "" {
				t.Fatalf("failure %d: %+v, want attempt %d, and another within %v", n, e, n+1, maxDeliveryBackoff)
			}
		}
		if got := i.asked(); got != 2 {
			t.Errorf("source was asked %d times, want 2", got)
		}

		pass(30 * time.Minute) // the first credentials have expired, the third have come
		if es := r.seen(Expired); len(es) != 1 || !es[0].Expires.Equal(first.Expires) {
			t.Errorf("events %v, want the expiry of those on the disk", es)
		}
		newest := socket.get("a")
		full.Store(false)
		pass(maxDeliveryBackoff)
		if got := disk.get("a"); got != newest || got == second {
			t.Errorf("the disk has %s, want the newest, %s", got.AccessKeyID, newest.AccessKeyID)
		}
		if es := r.seen(Refreshed); len(es) != 2 || !es[1].Expires.Equal(newest.Expires) {
			t.Errorf("events %v, want a second, of the newest credentials", es)
		}
		pass(2 * time.Hour)
		r.count(Expired, 1)
	})
}

// TestDeliveryFailsAnew: what was overcome does not count any more.
func TestDeliveryFailsAnew(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		disk := &shelf{deliver: func(_ context.Context, call int) error {
			switch call {
			case 2, 3, 4, 5, 6, 8:
				return errTransient
			}
			return nil
		}}
		r := launch(t, w, Options{Profiles: one(&issuer{world: w, life: time.Hour}), Deliveries: []Delivery{disk}})
		pass(2 * time.Hour)
		var got []int
		for _, e := range r.seen(DeliveryFailed) {
			got = append(got, e.Attempt)
		}
		if want := []int{1, 2, 3, 4, 5, 1}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("attempts %v, want %v", got, want)
		}
	})
}

// TestDeliveryDeaf: a target that hangs and does not listen gets one call at a
// time, is reported, and what it then returns counts.
func TestDeliveryDeaf(t *testing.T) {
	for _, err := range []error{nil, errTransient} {
		t.Run(fmt.Sprint(err), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				release := make(chan struct{})
				var open, most atomic.Int32
				deaf := &shelf{deliver: func(_ context.Context, call int) error {
					most.Store(max(most.Load(), open.Add(1)))
					defer open.Add(-1)
					if call == 2 {
						<-release
						return err
					}
					return nil
				}}
				other := &shelf{}
				r := launch(t, w, Options{Profiles: one(&issuer{world: w, life: time.Hour}), Deliveries: []Delivery{deaf, other}})
				pass(100 * time.Minute)
				if left := other.get("a").Expires.Sub(w.local()); left < 29*time.Minute {
					t.Errorf("the other delivery has credentials with %v left", left)
				}
				if got := deaf.calls(); len(got) != 2 || most.Load() != 1 {
					t.Errorf("%d calls, %d at a time, want 2, one at a time", len(got), most.Load())
				}
				if len(r.seen(DeliveryFailed)) == 0 {
					t.Error("nothing was told of the hang")
				}
				r.count(Expired, 1)
				close(release)
				pass(2 * maxDeliveryBackoff)
				if deaf.get("a") != other.get("a") {
					t.Error("the newest credentials were not delivered after the hang")
				}
				if got := deaf.calls(); len(got) != 3 {
					t.Errorf("%d calls, want 3: the hanging one, and one with the newest", len(got))
				}
			})
		})
	}
}

// TestDeliveryKeepsMap: the map is the callee's, and what it does to it stays there.
func TestDeliveryKeepsMap(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := &shelf{}
		r := launch(t, w, Options{
			Profiles:   one(&issuer{world: w, life: time.Hour}),
			Deliveries: []Delivery{eraser{}, s},
		})
		pass(40 * time.Minute)
		if left := s.get("a").Expires.Sub(w.local()); left < 29*time.Minute {
			t.Errorf("%v left", left)
		}
		r.count(Refreshed, 2)
	})
}

type eraser struct{}

func (eraser) Deliver(_ context.Context, creds map[string]aws.Credentials) error {
	clear(creds)
	return nil
}
