//go:build unix

package pathsafe

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
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
func Foreign(uid int) bool { return uid != 0 && !Unmapped(uid) }

// Unmapped tells whether a number stands for all users whom this user namespace has no
// number for (user_namespaces(7)), if there are any; root of the machine can be one.
func Unmapped(uid int) bool {
	overflow, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err != nil || string(bytes.TrimSpace(overflow)) != strconv.Itoa(uid) {
		return false
	}
	users, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !coversAll(users)
}

// coversAll tells whether a uid_map knows every user: lines of the first number here, the
// first one outside, and how many.
func coversAll(users []byte) bool {
	const all = 1<<32 - 1 // the last number is none
	var n uint64
	for line := range bytes.Lines(users) {
		if fields := bytes.Fields(line); len(fields) == 3 {
			count, _ := strconv.ParseUint(string(fields[2]), 10, 32) // the kernel writes numbers
			n += count
		}
	}
	return n >= all
}

// UID returns the owner of a file, -1 if that is unknown.
func UID(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// MayMake says why nothing can be made in a directory, and makes nothing to find out.
func MayMake(dir *os.Root) error { return access(dir, ".", unix.W_OK|unix.X_OK) }

// MayWrite says why a file cannot be written to, and does not open it.
func MayWrite(dir *os.Root, name string) error { return access(dir, name, unix.W_OK) }

// access asks the kernel twice: Linux before 5.8 knows no AT_EACCESS, and what stands in for it
// sees no access control list.
func access(dir *os.Root, name string, mode uint32) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	err = unix.Faccessat(int(d.Fd()), name, mode, unix.AT_EACCESS)
	if err != nil && unix.Faccessat(int(d.Fd()), name, mode, 0) != nil {
		return &fs.PathError{Op: "access", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	return nil
}
