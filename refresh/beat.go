package refresh

import "time"

// began is where the beat of this process began.
var began = time.Now()

// NextBeat returns how long it is until this process looks again at what nobody tells it of, if it
// does so every that long. All that poll go by it: to be woken costs a process more than what it
// looks at then, so that one waking serves them all.
func NextBeat(every time.Duration) time.Duration {
	since := time.Since(began) % every // on the monotonic clock, which nobody sets
	if since < 0 {                     // in a test's own time
		since += every
	}
	return every - since
}
