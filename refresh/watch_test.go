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

// watched is an issuer that can be told of changes.
type watched struct {
	issuer
	changed chan func()   // what Watch was given
	left    chan struct{} // closed when the watch has ended
}

func newWatched(w *world, life time.Duration) *watched {
	return &watched{issuer: issuer{world: w, life: life}, changed: make(chan func(), 1), left: make(chan struct{})}
}

func (s *watched) Watch(changed func()) (stop func()) {
	s.changed <- changed
	return func() { close(s.left) }
}

func TestChangeIsAskedForAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		src, got := newWatched(w, 12*time.Hour), &shelf{}
		r := launch(t, w, Options{Profiles: one(src), Deliveries: []Delivery{got}})
		changed := <-src.changed
		pass(time.Minute)
		first := got.get("a")
		changed()
		pass(0)
		if second := got.get("a"); second.AccessKeyID == first.AccessKeyID {
			t.Error("no new credentials right after a change")
		}
		// Nobody gets more than one call a second out of a source.
		before := w.asked.Load()
		for range 1000 {
			changed()
			pass(10 * time.Millisecond)
		}
		if n := w.asked.Load() - before; n < 9 || n > 11 {
			t.Errorf("asked %d times in 10 s of changes, want 10", n)
		}
		r.stop()
		select {
		case <-src.left:
		default:
			t.Error("the watch has not ended with Run")
		}
	})
}

// A clock that was set back puts no change off: when the source answered last is
// known on the new clock.
func TestChangeAfterStepBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		src, got := newWatched(w, 12*time.Hour), &shelf{}
		launch(t, w, Options{Profiles: one(src), Deliveries: []Delivery{got}})
		changed := <-src.changed
		pass(time.Minute)
		w.set(-time.Hour)
		changed()
		pass(minPoll)
		if got := src.asked(); got != 2 {
			t.Errorf("asked %d times a second after the change, want 2", got)
		}
	})
}

// A change ends the waiting of a failure that only a person could mend.
func TestChangeEndsBackoff(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		src, got := newWatched(w, time.Hour), &shelf{}
		var loggedOut atomic.Bool
		src.fail = func(int) error {
			if loggedOut.Load() {
				return &Error{Err: errors.New("logged out"), Permanent: true}
			}
			return nil
		}
		r := launch(t, w, Options{Profiles: one(src), Deliveries: []Delivery{got}})
		changed := <-src.changed
		pass(time.Minute)
		loggedOut.Store(true)
		pass(50 * time.Minute)
		first := got.get("a")
		if r.seen(Failed) == nil {
			t.Fatal("no failure")
		}
		loggedOut.Store(false)
		changed()
		pass(time.Second)
		if got.get("a").AccessKeyID == first.AccessKeyID {
			t.Error("no new credentials within a second after the change")
		}
	})
}

// A change while the source is being asked: the answer may be from before.
func TestChangeWhileAsked(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		src, got := newWatched(w, 12*time.Hour), &shelf{}
		src.latency = 10 * time.Second
		launch(t, w, Options{Profiles: one(src), Deliveries: []Delivery{got}})
		changed := <-src.changed
		pass(5 * time.Second)
		changed()
		pass(time.Minute)
		if n := w.asked.Load(); n != 2 {
			t.Errorf("asked %d times, want twice", n)
		}
	})
}

// A Watch that panics, or does not end, must not do harm.
func TestBadWatch(t *testing.T) {
	for i, watch := range []func(func()) func(){
		func(func()) func() { panic("bug") },
		func(func()) func() { return nil },
		func(func()) func() { return func() { panic("bug") } },
		func(func()) func() { return func() { time.Sleep(time.Hour) } },
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				src := badWatch{&issuer{world: w, life: time.Hour}, watch}
				r := launch(t, w, Options{Profiles: one(src), Deliveries: []Delivery{&shelf{}}})
				pass(3 * time.Hour)
				r.count(Failed, 0)
				stopped := time.Now()
				r.stop()
				if took := time.Since(stopped); took > 2*retrieveGrace {
					t.Errorf("Run took %s to return", took)
				}
				pass(2 * time.Hour)
			})
		})
	}
}

// TestWatchHangs: the engine works on while a Watch hangs that begins after Start.
func TestWatchHangs(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		src := badWatch{&issuer{world: w, life: time.Hour}, func(func()) func() { time.Sleep(3 * time.Hour); return func() {} }}
		r := launchIn(t, w, Options{Profiles: one(src), Deliveries: []Delivery{&shelf{}}}, true)
		pass(2 * time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Alive(ctx); err != nil {
			t.Errorf("Alive = %v", err)
		}
		if n := src.CredentialsProvider.(*issuer).asked(); n < 2 {
			t.Errorf("asked %d times in two hours", n)
		}
		stopped := time.Now()
		r.stop()
		if took := time.Since(stopped); took > 2*retrieveGrace {
			t.Errorf("Run took %s to return", took)
		}
		pass(2 * time.Hour)
	})
}

type badWatch struct {
	aws.CredentialsProvider
	watch func(func()) func()
}

func (b badWatch) Watch(changed func()) (stop func()) { return b.watch(changed) }
