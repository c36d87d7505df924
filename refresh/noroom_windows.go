package refresh

import (
	"errors"
	"syscall"
)

// noRoom reports whether the disk is full or write-protected. The numbers are
// ERROR_WRITE_PROTECT, ERROR_HANDLE_DISK_FULL and ERROR_DISK_FULL of
// https://learn.microsoft.com/windows/win32/debug/system-error-codes--0-499-
func noRoom(err error) bool {
	return errors.Is(err, syscall.Errno(19)) || errors.Is(err, syscall.Errno(39)) || errors.Is(err, syscall.Errno(112))
}
