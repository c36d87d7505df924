package supervisor

import "time"

// RestartPolicy says whether a child that ended by itself is started again.
type RestartPolicy int

// The restart policies. A child that we stopped for good, that was told to end
// by a TERM or INT to us, or that was interrupted from the terminal, is not
// started again under any of them.
const (
	RestartNever     RestartPolicy = iota
	RestartOnFailure               // unless it exited with 0
	RestartAlways
)

// Restart is a restart policy with its limits.
type Restart struct {
	Policy RestartPolicy

	// Max is how many restarts may follow each other without a good run between
	// them; 0 is no limit.
	Max int

	// Delay is the pause before the first restart; it doubles with each one that
	// follows, up to DelayMax. 0 stands for 100 ms and 1 minute.
	Delay, DelayMax time.Duration

	// GoodRun is how long a child has to live for the pause and the count to
	// begin anew. 0 stands for 10 s.
	GoodRun time.Duration
}

const (
	defaultDelay    = 100 * time.Millisecond // as systemd's RestartSec
	defaultDelayMax = time.Minute
	defaultGoodRun  = 10 * time.Second // as systemd's StartLimitIntervalSec
)

// next decides what follows the end of a child that lived for run, after streak
// restarts in a row.
func (r Restart) next(streak int, run time.Duration, failed bool) (after time.Duration, newStreak int, again bool) {
	switch {
	case r.Policy == RestartNever, r.Policy == RestartOnFailure && !failed:
		return 0, streak, false
	}
	if run >= orDefault(r.GoodRun, defaultGoodRun) {
		streak = 0
	}
	if r.Max > 0 && streak >= r.Max {
		return 0, streak, false
	}
	after, limit := orDefault(r.Delay, defaultDelay), orDefault(r.DelayMax, defaultDelayMax)
	for range streak {
		if after >= limit/2 {
			after = limit
			break
		}
		after *= 2
	}
	return min(after, limit), streak + 1, true
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
