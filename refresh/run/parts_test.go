package run

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
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
		}, time.Hour, 2, 2, 1, "internal error: panic in brs-exec/refresh/run.TestKeep"},
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
				calls, news := 0, 0
				keep(ctx, func(ctx context.Context) error {
					calls++
					return tt.run(ctx, calls)
				}, func(err error, again time.Duration, first bool) {
					if !strings.Contains(err.Error(), tt.errors) || strings.Contains(err.Error(), "secret") {
						t.Errorf("told of %q, want %q", err, tt.errors)
					}
					if again <= 0 || again > maxPause {
						t.Errorf("started again after %v", again)
					}
					if first {
						news++
					}
				})
				if calls < tt.calls || calls > tt.most || news != tt.news {
					t.Errorf("%d calls, %d of the failures news; want %d to %d, %d", calls, news, tt.calls, tt.most, tt.news)
				}
			})
		})
	}
}

func TestGuard(t *testing.T) {
	var got []string
	g := guard{tell: func(name string, err error) {
		got = append(got, name)
		if !strings.Contains(err.Error(), "panic in brs-exec/refresh/run.TestGuard") || strings.Contains(err.Error(), "secret") {
			t.Errorf("told %q", err)
		}
	}}
	done := 0
	for range 3 {
		g.do("a", func() { panic("secret") })
		g.do("b", func() { done++ })
		g.do("c", func() { panic("secret") })
	}
	if diff := cmp.Diff([]string{"a", "c"}, got); diff != "" || done != 3 {
		t.Errorf("the one without a panic ran %d times; told of (-want +got):\n%s", done, diff)
	}
	new(guard).do("silent", func() { panic("secret") })
}
