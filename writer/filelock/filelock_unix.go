//go:build unix

package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Try takes the lock of f without waiting. It fails with [ErrLocked], [ErrNoLocks],
// or what else the system says.
func Try(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrLocked
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOLCK),
			errors.Is(err, unix.EINVAL), errors.Is(err, unix.EBADF): // EBADF: NFS, for a directory
			return ErrNoLocks
		default:
			return err
		}
	}
}

// Remove removes a file whose lock the caller holds.
func Remove(dir *os.Root, name string) { dir.Remove(name) }

// Release gives the lock up. The file stays open.
func Release(f *os.File) { unix.Flock(int(f.Fd()), unix.LOCK_UN) }
