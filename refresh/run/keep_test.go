package run

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/supervisor"
)

// absent is a neighbour that is not there until some time has passed.
type absent struct {
	until time.Time
	sent  []string
}

func (a *absent) Round() func(syscall.Signal, bool) error { return a.signal }

func (a *absent) signal(sig syscall.Signal, evenIfUnhandled bool) error {
	if time.Now().Before(a.until) {
		return errors.New("no such process runs")
	}
	a.sent = append(a.sent, supervisor.SignalName(sig))
	return nil
}

// TestKeeperSignals: a neighbour that comes back in time gets the signal, and is not a
// matter to speak of; one that does not come back is spoken of once.
func TestKeeperSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		n := &absent{until: time.Now().Add(20 * time.Second)}
		k := &keeper{neighbour: n, log: slog.New(slog.NewTextHandler(&log, nil)), notify: func(supervisor.Event) {}, send: make(chan signal, 1)}
		k.idle = func(ctx context.Context, ready <-chan struct{}, _ bool, started func()) (supervisor.Exit, error) {
			<-ctx.Done()
			return supervisor.Exit{}, nil
		}
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			k.Run(ctx, nil)
		}()
		hup := func() {
			if err := k.Signal(syscall.SIGHUP, false); err != nil {
				t.Error(err)
			}
			<-time.After(time.Minute)
			synctest.Wait()
		}
		if hup(); len(n.sent) != 1 || log.Len() > 0 {
			t.Errorf("sent %q, said %s", n.sent, log.String())
		}
		n.until = time.Now().Add(time.Hour)
		hup()
		hup()
		if got := strings.Count(log.String(), "no such process runs"); got != 1 {
			t.Errorf("said %d times: %s", got, log.String())
		}
		k.Signal(syscall.SIGHUP, false) // the end does not wait for it
		synctest.Wait()
		end()
		<-done
	})
}

// TestKeeperRun: it tells of its start and its end, and of neither if there was none.
func TestKeeperRun(t *testing.T) {
	for _, tt := range []struct {
		starts bool
		want   []supervisor.EventKind
	}{
		{true, []supervisor.EventKind{supervisor.Started, supervisor.Ended}},
		{false, nil},
	} {
		var got []supervisor.EventKind
		k := &keeper{notify: func(e supervisor.Event) { got = append(got, e.Kind) }}
		k.idle = func(_ context.Context, _ <-chan struct{}, _ bool, started func()) (supervisor.Exit, error) {
			if tt.starts {
				started()
			}
			return supervisor.Exit{Code: 3}, nil
		}
		if exit, err := k.Run(t.Context(), nil); exit.Code != 3 || err != nil {
			t.Errorf("exit %v, %v", exit, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	}
}
