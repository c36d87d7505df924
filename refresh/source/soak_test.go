package source

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
)

// desk is a delivery that remembers the last credentials, and how many there were.
type desk struct {
	mu    sync.Mutex
	last  aws.Credentials
	count int
}

func (d *desk) Deliver(_ context.Context, creds map[string]aws.Credentials) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range creds {
		d.last = c
		d.count++
	}
	return nil
}

func (d *desk) get() (aws.Credentials, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last, d.count
}

// engine runs the real one over src, in the bubble of t, until the test ends.
func engine(t *testing.T, src *Source, notify func(refresh.Event)) *desk {
	t.Helper()
	d := &desk{}
	e := refresh.New(refresh.Options{
		Profiles: []refresh.Profile{{Name: "a", Source: src}}, Deliveries: []refresh.Delivery{d}, Notify: notify,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	select {
	case <-e.Ready():
	case <-done:
		t.FailNow()
	}
	return d
}

// soak lets two weeks pass over src. Each day the network is away for ten
// minutes at an hour of its own, of which a reader must not notice anything: at
// all times what it holds lives for another margin.
func soak(t *testing.T, src *Source, n *pipeNet, margin time.Duration, fewest, most int) {
	t.Helper()
	soakOver(t, src, n.down.Store, margin, fewest, most)
}

// soakOver is soak for what reaches its source by other ways than a network.
func soakOver(t *testing.T, src *Source, down func(bool), margin time.Duration, fewest, most int) {
	t.Helper()
	failed := 0
	d := engine(t, src, func(e refresh.Event) {
		switch e.Kind {
		case refresh.Failed:
			failed++ // of the engine's goroutine, which has ended, or waits, when it is read
			if e.Permanent {
				t.Errorf("%s: permanent: %v", e.Time, e.Err)
			}
		case refresh.Expired:
			t.Errorf("%s: expired", e.Time)
		}
	})
	for day := range 14 {
		for minute := range 24 * 60 {
			// Long enough to meet a refresh on some days.
			down(minute >= day*97 && minute < day*97+10)
			time.Sleep(time.Minute)
			synctest.Wait()
			if c, _ := d.get(); !c.CanExpire || time.Until(c.Expires) < margin {
				t.Fatalf("day %d, minute %d: what is held lives for %s, want %s", day, minute, time.Until(c.Expires), margin)
			}
		}
	}
	down(false)
	if _, count := d.get(); count < fewest || count > most {
		t.Errorf("%d credentials in 14 days, want %d to %d", count, fewest, most)
	}
	t.Logf("%d failures on the way", failed)
}
