package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// Try takes the lock of f without waiting. It fails with [ErrLocked], [ErrNoLocks],
// or what else the system says.
func Try(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, lockRange())
	switch {
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING):
		return ErrLocked
	case errors.Is(err, windows.ERROR_NOT_SUPPORTED), errors.Is(err, windows.ERROR_INVALID_FUNCTION),
		errors.Is(err, windows.ERROR_INVALID_PARAMETER), errors.Is(err, windows.ERROR_ACCESS_DENIED): // a directory
		return ErrNoLocks
	}
	return err
}

// Remove leaves the file: one that others have open cannot be removed here.
func Remove(*os.Root, string) {}

// Release gives the lock up. The file stays open.
func Release(f *os.File) { windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, lockRange()) }

// lockRange is a byte far behind any content: here a lock also keeps others
// from reading the bytes.
func lockRange() *windows.Overlapped { return &windows.Overlapped{OffsetHigh: 0x7fffffff} }
