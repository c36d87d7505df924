package run

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestKeep: a part that fails or panics is started again, more and more
// slowly, until it ends well or the run does.
func TestKeep(t *testing.T) {
	broken := errors.New("accept: broken")
	tests := []struct {
		name   string
		run    func(ctx context.Context, call int) error
		life   time.Duration // of the run
		calls  int           // at least
		most   int           // of these
		news   int
		errors string // part of each
	}{
		{"works", func(ctx context.Context, _ int) error { <-ctx.Done(); return nil }, time.Hour, 1, 1, 0, ""},
		{"has nothing to do", func(context.Context, int) error { return nil }, time.Hour, 1, 1, 0, ""},
		{"ends with the run", func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }, time.Hour, 1, 1, 0, ""},
		{"fails once", func(ctx context.Context, call int) error {
			if call > 1 {
				<-ctx.Done()
				return nil
			}
			return broken
		}, time.Hour, 2, 2, 1, "accept: broken"},
		{"panics once", func(ctx context.Context, call int) error {
			if call > 1 {
				<-ctx.Done()
				return nil
			}
			panic("secret")
		}, time.Hour, 2, 2, 1, "internal error: panic in brs-exec.example/brs-exec/refresh/run.TestKeep"},
		// 1, 2, 4 … 60 seconds, up to a quarter less.
		{"fails always", func(context.Context, int) error { return broken }, time.Hour, 60, 90, 1, "accept: broken"},
		{"fails now and then", func(ctx context.Context, _ int) error {
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Minute):
			}
			return broken
		}, time.Hour, 6, 6, 5, "accept: broken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.life)
				defer cancel()
				calls := 0
				var log syncBuffer
				p := &parts{log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
				p.keep(ctx, Part{Name: "it", Run: func(ctx context.Context) error {
					calls++
					return tt.run(ctx, calls)
				}})
				news := strings.Count(log.String(), "level=ERROR")
				if calls < tt.calls || calls > tt.most || news != tt.news {
					t.Errorf("%d calls, %d of the failures news; want %d to %d, %d", calls, news, tt.calls, tt.most, tt.news)
				}
				for line := range strings.Lines(log.String()) {
					if !strings.Contains(line, tt.errors) || strings.Contains(line, "secret") {
						t.Errorf("the log says %q, want %q", line, tt.errors)
					}
					_, after, _ := strings.Cut(strings.TrimSpace(line), " after=")
					if d, err := time.ParseDuration(after); err != nil || d <= 0 || d > maxPause {
						t.Errorf("started again after %q", after)
					}
				}
			})
		})
	}
}

// TestLateAtTheEnd: parts that are begun in the moment when the run ends are waited for.
func TestLateAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, life := range []time.Duration{lateAfter - 1, lateAfter, lateAfter + 1} {
			ctx, cancel := context.WithCancel(t.Context())
			var calls, running atomic.Int64
			p := &parts{log: slog.New(slog.DiscardHandler)}
			for _, late := range []bool{false, true} {
				p.list = append(p.list, Part{Name: "it", Late: late, Run: func(ctx context.Context) error {
					calls.Add(1)
					running.Add(1)
					<-ctx.Done()
					time.Sleep(time.Second)
					running.Add(-1)
					return nil
				}})
			}
			wait := p.run(ctx)
			time.Sleep(life)
			cancel()
			wait()
			if n := calls.Load(); running.Load() != 0 || life < lateAfter && n != 1 || life > lateAfter && n != 2 {
				t.Errorf("after %v %d parts were begun, and %d have not ended", life, n, running.Load())
			}
		}
	})
}

// TestDo: a panic is said once for each name, and where it was.
func TestDo(t *testing.T) {
	var log syncBuffer
	p := &parts{log: slog.New(slog.NewTextHandler(&log, nil))}
	done := 0
	for range 3 {
		p.do("a", func() { panic("secret") })
		p.do("b", func() { done++ })
		p.do("c", func() { panic("secret") })
	}
	said := log.String()
	if strings.Count(said, "\n") != 2 || !strings.Contains(said, "part=a ") || !strings.Contains(said, "part=c ") || strings.Contains(said, "secret") || done != 3 {
		t.Errorf("the one without a panic ran %d times; the log says\n%s", done, said)
	}
	if got := strings.Count(said, "panic in brs-exec.example/brs-exec/refresh/run.TestDo"); got != 2 {
		t.Errorf("%d lines say where it was, want 2", got)
	}
}
