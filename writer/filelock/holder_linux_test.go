package filelock

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A descriptor that the kernel locks no more than a directory on NFS.
func TestNoLocks(t *testing.T) {
	t.Parallel()
	fd, err := unix.Open(t.TempDir(), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "dir")
	defer f.Close()
	if err := Try(f); !errors.Is(err, ErrNoLocks) {
		t.Errorf("Try = %v, want %v", err, ErrNoLocks)
	}
	if err := Take(t.Context(), f); err != nil {
		t.Errorf("Take = %v, want none", err)
	}
}

// awaitZombie waits until the child has ended, and leaves it to be reaped.
func awaitZombie(pid int) bool {
	for {
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			return err == nil
		}
	}
}
