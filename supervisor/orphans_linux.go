package supervisor

import (
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/supervisor/stage"
)

// killTime is how long what was killed may take to be gone: one that a hung file system holds
// in the kernel is not waited for longer.
const killTime = 5 * time.Second

// stopOrphans ends what the command has left behind, and is adopted by our stage.
// If the stage is gone, so are its orphans, to somebody whose other children are not
// ours to signal.
func stopOrphans(grace time.Duration) {
	signal := func(sig unix.Signal) (left bool) {
		adopter := stage.PID()
		switch adopter {
		case 0:
			return false
		case 1: // PID 1 of a namespace: all but the stage and us, and it can't go away before us
			return unix.Kill(-1, sig) == nil
		}
		below := descendants(adopter, os.Getpid())
		if stage.PID() != adopter {
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
	over, killed := time.After(grace), false
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for signal(0) {
		select {
		case <-over:
			if killed {
				return
			}
			signal(unix.SIGKILL)
			over, killed = time.After(killTime), true
		case <-look.C:
		}
	}
}

// waitOrphans returns when nothing is left of what our stage has adopted, now and
// as long as any of it lives. It is idle in between.
func waitOrphans() {
	left := func() []int {
		adopter := stage.PID()
		if adopter == 0 {
			return nil
		}
		return descendants(adopter, os.Getpid())
	}
	for list := left(); len(list) > 0; list = left() {
		waitFor(list[0], func() bool { return slices.Contains(left(), list[0]) })
	}
}

// waitFor waits for the end of a process that is no child of ours, if it still is
// the one that is meant. Before Linux 5.3 it looks once in a second.
func waitFor(pid int, still func() bool) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		if still() {
			time.Sleep(time.Second)
		}
		return
	}
	defer unix.Close(fd)
	if !still() {
		return
	}
	for {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != unix.EINTR {
			return
		}
	}
}
