package refresh

import (
	"testing"
	"testing/synctest"
	"time"
)

// All who poll wake up together, whenever they begin, and none later than it asks for.
func TestNextBeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const short, long = 15 * time.Second, 30 * time.Second
		first := time.Now().Add(NextBeat(short))
		for range 100 {
			for _, every := range []time.Duration{short, long} {
				d := NextBeat(every)
				if d <= 0 || d > every || time.Now().Add(d).Sub(first)%short != 0 {
					t.Fatalf("NextBeat(%v) = %v, %v after the first", every, d, time.Since(first))
				}
			}
			time.Sleep(7*time.Second + 1)
		}
		time.Sleep(NextBeat(long))
		if d := NextBeat(long); d != long {
			t.Errorf("at a beat the next one is in %v, want %v", d, long)
		}
	})
}
