//go:build unix

package pathsafe

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
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

// OthersWrite tells whether users other than the owner may write to it.
func OthersWrite(info fs.FileInfo) bool { return info.Mode().Perm()&0o022 != 0 }

// OverflowUID is how an owner without a number in this user namespace appears;
// root of the machine, for one, in a sandbox.
const OverflowUID = 65534

// Foreign tells whether a user is not root.
func Foreign(uid int) bool { return uid != 0 && !nobodyIsRoot(uid) }

// nobodyIsRoot tells whether an owner can be root of the machine: that has no
// number in a user namespace that does not have all of them.
func nobodyIsRoot(uid int) bool {
	if uid != OverflowUID {
		return false
	}
	ids, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !bytes.Equal(bytes.Join(bytes.Fields(ids), []byte(" ")), []byte("0 0 4294967295"))
}

// UID returns the owner of a file, -1 if that is unknown.
func UID(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}
