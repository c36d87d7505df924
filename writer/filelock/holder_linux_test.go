package filelock

import "golang.org/x/sys/unix"

// awaitZombie waits until the child has ended, and leaves it to be reaped.
func awaitZombie(pid int) bool {
	for {
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			return err == nil
		}
	}
}
