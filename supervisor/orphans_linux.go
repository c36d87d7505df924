package supervisor

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/supervisor/stage"
)

// stopOrphans ends what the command has left behind, and is adopted by our stage.
// If the stage is gone, so are its orphans, to somebody whose other children are not
// ours to signal.
func stopOrphans(grace time.Duration) {
	signal := func(sig unix.Signal) (left bool) {
		adopter := stage.Adopter()
		switch adopter {
		case 0:
			return false
		case 1: // PID 1 of a namespace: all but the stage and us, and it can't go away before us
			return unix.Kill(-1, sig) == nil
		}
		below := descendants(adopter, os.Getpid())
		if stage.Adopter() != adopter {
			return false
		}
		for _, pid := range below {
			if unix.Kill(pid, sig) == nil {
				left = true
			}
		}
		return left
	}
	if !signal(unix.SIGTERM) {
		return
	}
	signal(unix.SIGCONT) // a stopped process can't end
	over := time.After(grace)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for signal(0) {
		select {
		case <-over:
			signal(unix.SIGKILL)
			return
		case <-look.C:
		}
	}
}
