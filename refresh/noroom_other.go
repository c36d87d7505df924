//go:build !windows

package refresh

import (
	"errors"
	"syscall"
)

// noRoom reports whether the disk is full, over quota or read-only.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS)
}
