package supervisor

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/supervisor/stage"
)

// stopOrphans ends what the command has left behind, and is adopted by our stage.
func stopOrphans(grace time.Duration) {
	if !stage.Present() {
		return
	}
	signal := func(sig unix.Signal) (left bool) {
		if os.Getppid() == 1 { // all but the stage and us
			return unix.Kill(-1, sig) == nil
		}
		for _, pid := range descendants(os.Getppid()) {
			if pid != os.Getpid() && unix.Kill(pid, sig) == nil {
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
