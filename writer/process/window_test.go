package process

import (
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	t.Parallel()
	base := time.Date(2026, 1, 2, 3, 0, 0, 0, time.FixedZone("somewhere", 3600))
	for _, tt := range []struct {
		name string
		life time.Duration
		at   time.Duration // since delivery
		want time.Duration // since delivery; 0 is expired
	}{
		{"an hour", time.Hour, 0, time.Hour - 120*time.Second},
		{"an hour, just before the window", time.Hour, 58*time.Minute - time.Second, 58 * time.Minute},
		{"an hour, too close to the window", time.Hour, 58*time.Minute - time.Second + 1, time.Hour},
		{"an hour, within the window", time.Hour, 59 * time.Minute, time.Hour},
		{"an hour, the last nanosecond", time.Hour, time.Hour - 1, time.Hour},
		{"an hour, expired", time.Hour, time.Hour, 0},
		{"twelve hours", 12 * time.Hour, 0, 12*time.Hour - 120*time.Second},
		{"twenty minutes", 20 * time.Minute, 0, 18 * time.Minute},
		{"twenty seconds", 20 * time.Second, 0, 18 * time.Second},
		{"part of a second is rounded off", 20*time.Second + 900*time.Millisecond, 0, 18 * time.Second},
		{"five seconds", 5 * time.Second, 0, 4 * time.Second},
		{"one second and a half", 1500 * time.Millisecond, 0, time.Second},
		{"less than a second is rounded up", 700 * time.Millisecond, 0, time.Second},
		{"the last part of a second", 10*time.Second + 700*time.Millisecond, 10*time.Second + 100*time.Millisecond, 11 * time.Second},
		{"expired on delivery", -time.Second, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := NewWindow(base, base.Add(tt.life))
			got, ok := w.Reported(base.Add(tt.at))
			if w.Early.After(w.End) {
				t.Errorf("it begins %v after its end", w.Early.Sub(w.End))
			}
			if ok != (tt.want != 0) {
				t.Fatalf("Reported = %v, %v", got, ok)
			}
			if ok && (!got.Equal(base.Add(tt.want)) || got.Location() != time.UTC) {
				t.Errorf("Reported = %v (%v after delivery), want %v after delivery, in UTC", got, got.Sub(base), tt.want)
			}
		})
	}
	if got, ok := NewWindow(base, time.Time{}).Reported(base); !ok || !got.IsZero() {
		t.Errorf("of credentials that never expire = %v, %v", got, ok)
	}
}
