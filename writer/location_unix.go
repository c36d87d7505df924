//go:build unix

package writer

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// nonBlock opens a pipe without waiting for its other end.
const nonBlock = unix.O_NONBLOCK

// ownedAlone says what another user could have to do with the content of a file
// that should be uid's.
func ownedAlone(info fs.FileInfo, uid int) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return errors.New("its owner is unknown")
	case int(st.Uid) != uid:
		return fmt.Errorf("is user %d's", st.Uid)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others can write to it (mode %04o)", info.Mode().Perm())
	case st.Nlink != 1:
		return fmt.Errorf("has %d names", st.Nlink)
	}
	return nil
}
