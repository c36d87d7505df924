package run

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
)

// TestSourceExpiryOfMany: an expiry that several profiles share is told of once, and one
// that is another's by itself.
func TestSourceExpiryOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ps := &profiles{}
		var list []*profile
		for i := range 100 {
			end := source.Expiry{At: start.Add(8 * time.Hour), What: "the login"}
			if i == 50 {
				end.What = "a certificate"
			}
			list = append(list, &profile{Profile: plan.Profile{Name: fmt.Sprint(i)}, src: &fakeSource{expiry: func() (source.Expiry, bool) { return end, true }}})
		}
		ps.set(list)
		told := map[string]int{}
		e := newSourceExpiries(ps, time.Hour, newRecorder(&plan.Plan{Keep: &plan.Keep{}}, ps).sourceExpiry, func(_ *profile, end source.Expiry) {
			told[fmt.Sprintf("%v:%s", time.Since(start), end.What)]++
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.run(ctx) }()
		for _, p := range list {
			e.part().Engine(refresh.Event{Kind: refresh.Refreshed, Profile: p.Name}, true)
		}
		time.Sleep(9 * time.Hour)
		cancel()
		<-done
		if diff := cmp.Diff(map[string]int{"7h0m0s:the login": 1, "7h0m0s:a certificate": 1}, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// TestSourceExpiry: each end is told of once, on time, unless it was put off.
func TestSourceExpiry(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before time.Duration
		ends   map[string]string // by when it is known: how long after the start; "?" is not to be had
		want   string            // when something was told, and of what
	}{
		{"far", time.Hour, map[string]string{"0s": "8h"}, "7h0m0s:8h"},
		{"near already", time.Hour, map[string]string{"0s": "20m"}, "0s:20m"},
		{"at the end", 0, map[string]string{"0s": "2h"}, "2h0m0s:2h"},
		{"over before it was seen", time.Hour, map[string]string{"0s": "-1m"}, ""},
		{"not known", time.Hour, map[string]string{"0s": "?"}, ""},
		{"put off in time", time.Hour, map[string]string{"0s": "8h", "6h": "14h"}, "13h0m0s:14h"},
		{"put off after it was told", time.Hour, map[string]string{"0s": "8h", "7h30m": "16h"}, "7h0m0s:8h 15h0m0s:16h"},
		{"for a moment not to be had", time.Hour, map[string]string{"0s": "8h", "6h": "?", "6h1m": "8h"}, "7h0m0s:8h"},
		{"known late", time.Hour, map[string]string{"0s": "?", "3h": "8h"}, "7h0m0s:8h"},
		{"a clock that differs by seconds", time.Hour, map[string]string{"0s": "8h", "7h10m": "8h0m2s"}, "7h0m0s:8h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var mu sync.Mutex
				now := tt.ends["0s"]
				src := &fakeSource{}
				src.expiry = func() (source.Expiry, bool) {
					mu.Lock()
					defer mu.Unlock()
					if now == "?" {
						return source.Expiry{}, false
					}
					d, err := time.ParseDuration(now)
					if err != nil {
						t.Error(err)
					}
					return source.Expiry{At: start.Add(d), What: now}, true
				}
				var told []string
				ps := &profiles{}
				ps.set([]*profile{{Profile: plan.Profile{Name: "prod"}, src: src}})
				e := newSourceExpiries(ps, tt.before, newRecorder(&plan.Plan{Keep: &plan.Keep{}}, ps).sourceExpiry, func(_ *profile, end source.Expiry) {
					told = append(told, fmt.Sprintf("%v:%s", time.Since(start), end.What))
				})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- e.run(ctx) }()
				e.part().Engine(refresh.Event{Kind: refresh.Refreshed, Profile: "prod"}, true)
				for at, end := range tt.ends {
					d, err := time.ParseDuration(at)
					if err != nil {
						t.Fatal(err)
					}
					time.AfterFunc(d, func() {
						mu.Lock()
						now = end
						mu.Unlock()
					})
				}
				for range 20 * 4 { // a refresh every quarter of an hour
					time.Sleep(15 * time.Minute)
					e.part().Engine(refresh.Event{Kind: refresh.Unchanged, Profile: "prod"}, false)
				}
				cancel()
				if err := <-done; err != nil {
					t.Errorf("run = %v", err)
				}
				if got := strings.Join(told, " "); got != tt.want {
					t.Errorf("told %q, want %q", got, tt.want)
				}
			})
		})
	}
}
