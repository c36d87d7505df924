package cache

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot is a clock that nobody sets, and that goes on in a suspend.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
