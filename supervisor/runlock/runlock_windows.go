package runlock

import (
	"os"

	"golang.org/x/sys/windows"
)

var lockParents []string // the temporary directory is the user's

func tryLock(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if err == windows.ERROR_LOCK_VIOLATION {
		return ErrHeld
	}
	return err
}

func private(string) error { return nil }
