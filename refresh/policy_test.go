package refresh

import (
	"math"
	"testing"
	"time"
)

func TestMargin(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		before, life time.Duration
		want         time.Duration
	}{
		{"12 hours, a quarter", 0, 12 * time.Hour, 3 * time.Hour},
		{"2 hours, both the same", 0, 2 * time.Hour, 30 * time.Minute},
		{"1 hour, at least 30 minutes", 0, time.Hour, 30 * time.Minute},
		{"40 minutes, no more than half", 0, 40 * time.Minute, 20 * time.Minute},
		{"15 minutes", 0, 15 * time.Minute, 450 * time.Second},
		{"20 seconds", 0, 20 * time.Second, 10 * time.Second},
		{"nothing left", 0, 0, 0},
		{"over", 0, -time.Hour, 0},
		{"asked for", 25 * time.Minute, time.Hour, 25 * time.Minute},
		{"asked for less than the default", time.Minute, time.Hour, time.Minute},
		{"asked for more than half", 45 * time.Minute, time.Hour, 30 * time.Minute},
		{"asked for more than there is", 2 * time.Hour, time.Hour, 30 * time.Minute},
		{"asked for, nothing left", time.Minute, 0, 0},
		{"longest", 0, math.MaxInt64, math.MaxInt64 / 4},
		{"longest, asked for", math.MaxInt64, math.MaxInt64, math.MaxInt64 / 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := (Policy{Before: tt.before}).Margin(tt.life); got != tt.want {
				t.Errorf("Policy{%v}.Margin(%v) = %v, want %v", tt.before, tt.life, got, tt.want)
			}
		})
	}
}

// TestNext gives the wait at both ends of the jitter.
func TestNext(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	held := func(life, left time.Duration) outcome { return outcome{expires: now.Add(left), lifetime: life} }
	failed := func(n int, life time.Duration, permanent bool) outcome {
		return outcome{expires: now.Add(life / 2), lifetime: life, failures: n, permanent: permanent}
	}
	spread := func(rounds, profiles int, life time.Duration) outcome {
		return outcome{expires: now.Add(life), lifetime: life, profiles: profiles, spread: rounds}
	}
	crowd := func(n, failing int, left time.Duration) outcome {
		return outcome{expires: now.Add(left), lifetime: time.Hour, failures: n, failing: failing}
	}
	dying := func(n int, life, left time.Duration, permanent bool) outcome {
		return outcome{expires: now.Add(left), lifetime: life, failures: n, permanent: permanent}
	}
	const last = 1 - 1.0/(1<<53) // the largest that rand.Float64 returns
	tests := []struct {
		name      string
		before    time.Duration
		o         outcome
		low, high time.Duration
	}{
		{"an hour", 0, held(time.Hour, time.Hour), 27 * time.Minute, 30 * time.Minute},
		{"12 hours", 0, held(12*time.Hour, 12*time.Hour), 8*time.Hour + 42*time.Minute, 9 * time.Hour},
		{"20 seconds", 0, held(20*time.Second, 20*time.Second), 9 * time.Second, 10 * time.Second},
		{"2 seconds, no room for jitter", 0, held(2*time.Second, 2*time.Second), time.Second, time.Second},
		{"asked for all", time.Hour, held(time.Hour, time.Hour), 27 * time.Minute, 30 * time.Minute},
		{"an hour, seen before", 0, held(time.Hour, 40*time.Minute), 7 * time.Minute, 10 * time.Minute},
		{"jitter would be over", 0, held(time.Hour, 30*time.Minute+50*time.Millisecond), 50 * time.Millisecond, 50 * time.Millisecond},
		{"an hour, unchanged in the time of the jitter", 0, held(time.Hour, 31*time.Minute), time.Minute, time.Minute},
		{"unchanged, an hour", 0, held(time.Hour, 30*time.Minute), 54 * time.Second, time.Minute},
		{"unchanged, 15 minutes", 0, held(15*time.Minute, 5*time.Minute), 40500 * time.Millisecond, 45 * time.Second},
		{"unchanged, a minute left", 0, held(15*time.Minute, time.Minute), 20 * time.Second, 20 * time.Second},
		{"unchanged, 20 seconds", 0, held(20*time.Second, time.Second), time.Second, time.Second},
		{"unchanged and over", 0, held(time.Hour, -time.Hour), 54 * time.Second, time.Minute},
		{"lives too short to be kept", 0, held(time.Millisecond, time.Millisecond), time.Second, time.Second},
		{"an hour, the first", 0, spread(2, 1, time.Hour), 15 * time.Minute, 30 * time.Minute},
		{"12 hours, the first", 0, spread(2, 1, 12*time.Hour), 8*time.Hour + 42*time.Minute, 9 * time.Hour},
		{"an hour, the first of many", 0, spread(2, 2, time.Hour), 14 * time.Minute, 28 * time.Minute},
		{"12 hours, the first of many", 0, spread(2, 2, 12*time.Hour), 4*time.Hour + 29*time.Minute, 8*time.Hour + 58*time.Minute},
		{"an hour, the second", 0, spread(1, 1, time.Hour), 12 * time.Minute, 30 * time.Minute},
		{"an hour, the second of many", 0, spread(1, 2, time.Hour), 13 * time.Minute, 28 * time.Minute},
		{"an hour, of many", 0, spread(0, 2, time.Hour), 27 * time.Minute, 28 * time.Minute},
		{"an hour asked for, the first", 5 * time.Minute, spread(2, 1, time.Hour), 40 * time.Minute, 55 * time.Minute},
		{"10 minutes, the first of many", 0, spread(2, 2, 10*time.Minute), 270 * time.Second, 280 * time.Second},
		{"does not expire", 0, outcome{}, 54 * time.Minute, time.Hour},
		{"first failure", 0, failed(1, time.Hour, false), 100 * time.Millisecond, time.Second},
		{"second failure", 0, failed(2, time.Hour, false), 100 * time.Millisecond, 2 * time.Second},
		{"sixth failure", 0, failed(6, time.Hour, false), 100 * time.Millisecond, 32 * time.Second},
		{"seventh failure", 0, failed(7, time.Hour, false), 100 * time.Millisecond, time.Minute},
		{"many failures", 0, failed(math.MaxInt, time.Hour, false), 100 * time.Millisecond, time.Minute},
		{"many failures, nothing had yet", 0, failed(100, 0, false), 100 * time.Millisecond, time.Minute},
		{"many failures, 20 seconds, over", 0, dying(100, 20*time.Second, 0, false), 100 * time.Millisecond, 10 * time.Second},
		{"many failures, 20 seconds", 0, failed(100, 20*time.Second, false), 100 * time.Millisecond, 10 * time.Second / 3},
		{"many failures, a minute left", 0, dying(100, time.Hour, time.Minute, false), 100 * time.Millisecond, 20 * time.Second},
		{"many failures, two seconds left", 0, dying(100, time.Hour, 2*time.Second, false), 100 * time.Millisecond, time.Second},
		{"many failures, a second left", 0, dying(100, time.Hour, time.Second, false), 100 * time.Millisecond, time.Minute},
		{"first failure, as of nine others", 0, crowd(1, 10, 30*time.Minute), 100 * time.Millisecond, 10 * time.Second},
		{"many failures, as of two others", 0, crowd(100, 3, 30*time.Minute), 100 * time.Millisecond, 3 * time.Minute},
		{"many failures, as of all others", 0, crowd(100, 1000, 30*time.Minute), 100 * time.Millisecond, 5 * time.Minute},
		{"many failures, as of nine others, and clients need others", 0, crowd(100, 10, 15*time.Minute), 100 * time.Millisecond, time.Minute},
		{"many failures, as of all others, over", 0, crowd(100, 1000, -time.Minute), 100 * time.Millisecond, 5 * time.Minute},
		{"many failures, as of all others, a minute left", 0, crowd(100, 1000, time.Minute), 100 * time.Millisecond, 20 * time.Second},
		{"first permanent failure", 0, failed(1, time.Hour, true), 30 * time.Second, time.Minute},
		{"second permanent failure", 0, failed(2, time.Hour, true), time.Minute, 2 * time.Minute},
		{"permanent failures, 13 seconds left", 0, dying(100, time.Hour, 13*time.Second, true), 2500 * time.Millisecond, 5 * time.Second},
		{"permanent failures, a minute left", 0, dying(100, time.Hour, time.Minute, true), 10 * time.Second, 20 * time.Second},
		{"permanent failures, 5 seconds left", 0, dying(100, time.Hour, 5*time.Second, true), 150 * time.Second, 5 * time.Minute},
		{"permanent failures, over", 0, dying(100, time.Hour, -time.Second, true), 150 * time.Second, 5 * time.Minute},
		{"many permanent failures", 0, failed(100, time.Hour, true), 150 * time.Second, 5 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := Policy{Before: tt.before}
			// Jitter makes deadlines earlier and backoffs later.
			low, high := time.Duration(math.MaxInt64), time.Duration(0)
			for _, rnd := range []float64{0, 0.49999999, 0.5, last} {
				wait := p.next(now, tt.o, rnd).Sub(now)
				low, high = min(low, wait), max(high, wait)
			}
			if !near(low, tt.low) || !near(high, tt.high) {
				t.Errorf("next(%+v) waits %v to %v, want %v to %v", tt.o, low, high, tt.low, tt.high)
			}
		})
	}
}

func near(a, b time.Duration) bool { return (a - b).Abs() < time.Millisecond }

func FuzzPolicyNext(f *testing.F) {
	f.Add(int64(0), int64(time.Hour), int64(time.Hour), 0, false, 0.5, uint8(0), uint16(1), uint16(0))
	f.Add(int64(0), int64(time.Hour), int64(30*time.Minute), 0, false, 0.0, uint8(0), uint16(1), uint16(0))
	f.Add(int64(0), int64(time.Hour), int64(30*time.Minute+1), 0, false, 0.999, uint8(0), uint16(1), uint16(0))
	f.Add(int64(0), int64(20*time.Second), int64(-time.Hour), 0, false, 0.5, uint8(0), uint16(1), uint16(0))
	f.Add(int64(0), int64(1), int64(1), 0, false, 0.0, uint8(0), uint16(1), uint16(0))
	f.Add(int64(0), int64(math.MaxInt64), int64(math.MaxInt64), 0, false, 0.9, uint8(0), uint16(1), uint16(0))
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64), 0, false, 0.0, uint8(0), uint16(1), uint16(0))
	f.Add(int64(time.Hour), int64(time.Second), int64(time.Second), 0, false, 0.1, uint8(0), uint16(1), uint16(0))
	f.Add(int64(0), int64(time.Hour), int64(time.Minute), math.MaxInt, false, 0.0, uint8(0), uint16(1), uint16(0))
	f.Add(int64(0), int64(0), int64(0), 1, true, 0.0, uint8(0), uint16(1), uint16(0))
	f.Add(int64(-5), int64(-5), int64(-5), -5, true, 0.7, uint8(0), uint16(1), uint16(0))
	f.Add(int64(0), int64(time.Hour), int64(time.Hour), 0, false, 0.9, uint8(2), uint16(1000), uint16(0))
	f.Add(int64(0), int64(time.Hour), int64(time.Hour), 0, false, 0.9, uint8(1), uint16(1), uint16(0))
	f.Add(int64(0), int64(time.Hour), int64(31*time.Minute), 3, false, 0.9, uint8(1), uint16(1000), uint16(999))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, before, life, left int64, failures int, permanent bool, rnd float64, spread uint8, profiles, failing uint16) {
		if !(rnd >= 0 && rnd < 1) {
			t.Skip("not what rand.Float64 returns")
		}
		p := Policy{Before: time.Duration(before)}
		o := outcome{expires: now.Add(time.Duration(left)), lifetime: time.Duration(life), failures: failures, permanent: permanent,
			spread: int(spread), profiles: int(profiles), failing: int(failing)}
		got := p.next(now, o, rnd)
		if !got.After(now) {
			t.Fatalf("%+v.next(%+v, %v) = now %+v: not later than now", p, o, rnd, got.Sub(now))
		}
		m := p.Margin(o.lifetime)
		if m < 0 || m > max(o.lifetime, 0) {
			t.Fatalf("%+v.Margin(%v) = %v, want 0 to life", p, o.lifetime, m)
		}
		deadline := o.expires.Add(-m)
		if failures > 0 || o.lifetime < minLifetime || !deadline.After(now) {
			if w := got.Sub(now); w < minWait {
				t.Fatalf("%+v.next(%+v, %v) = now + %v, want at least %v", p, o, rnd, w, minWait)
			}
			return
		}
		if got.After(deadline) {
			t.Fatalf("%+v.next(%+v, %v) = deadline + %v, want no later than the deadline", p, o, rnd, got.Sub(deadline))
		}
		most := m/10 + 1
		if spread > 0 {
			most += deadline.Sub(now)/2 + 1
		}
		if early := deadline.Sub(got); early > most {
			t.Fatalf("%+v.next(%+v, %v) = deadline - %v, want %v at most", p, o, rnd, early, most)
		}
		if at := p.afterOutage(now, o, rnd); !at.After(now) || at.Sub(now) > maxPatience {
			t.Fatalf("%+v.afterOutage(%+v, %v) = now + %v", p, o, rnd, at.Sub(now))
		}
	})
}

// TestBackoffSpreads shows the point of full jitter: failures that began together
// do not stay together.
func TestBackoffSpreads(t *testing.T) {
	t.Parallel()
	const n = 100
	seen := make(map[int]int)
	for i := range n {
		seen[int(backoff(10, 1, maxBackoff, float64(i)/n)/(6*time.Second))]++
	}
	for slot := range 10 {
		if got := seen[slot]; got < n/20 || got > n/5 {
			t.Errorf("%d of %d waits fall into tenth %d of the minute, want about %d", got, n, slot, n/10)
		}
	}
}

func BenchmarkPolicyNext(b *testing.B) {
	now := time.Now()
	o := outcome{expires: now.Add(time.Hour), lifetime: time.Hour}
	var p Policy
	for b.Loop() {
		if !p.next(now, o, 0.5).After(now) {
			b.Fatal("next is not later than now")
		}
	}
}
