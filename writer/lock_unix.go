//go:build unix

package writer

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func tryLock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return errLocked
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOLCK),
			errors.Is(err, unix.EINVAL), errors.Is(err, unix.EBADF): // EBADF: NFS, for a directory
			return errNoLocks
		default:
			return err
		}
	}
}

func unlockFile(f *os.File) { unix.Flock(int(f.Fd()), unix.LOCK_UN) }

// removeSentinel removes the sentinel while its lock is held.
func removeSentinel(dir *os.Root, name string) { dir.Remove(name) }
