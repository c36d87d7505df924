package refresh

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestAlive: an engine whose source hangs is alive, one that does not run is not.
func TestAlive(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := New(Options{Profiles: []Profile{{"a", black{}}}}).Alive(ctx); err == nil {
			t.Error("an engine that does not run answered")
		}
		e := New(Options{Profiles: []Profile{{"a", black{}}}, StartTimeout: time.Hour})
		run, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- e.Run(run) }()
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := e.Alive(ctx); err != nil {
			t.Errorf("Alive = %v while the source hangs", err)
		}
		stop()
		<-done
	})
}

// black is a source that answers only when it is told to stop.
type black struct{}

func (black) Retrieve(ctx context.Context) (aws.Credentials, error) {
	<-ctx.Done()
	return aws.Credentials{}, ctx.Err()
}

// TestAliveDoesNotPutOff: an engine that is asked all the time keeps its schedule.
func TestAliveDoesNotPutOff(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r := launch(t, w, Options{Profiles: []Profile{{"a", &issuer{world: w, life: time.Hour}}}, Deliveries: []Delivery{&shelf{}}})
		for range 2 * 60 * 60 {
			pass(time.Second)
			if err := r.Alive(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if n := w.asked.Load(); n < 4 {
			t.Errorf("the source was asked %d times in two hours, want 4 or more", n)
		}
	})
}
