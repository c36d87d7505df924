//go:build unix

package writer

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func renameOver(from, to string) error { return os.Rename(from, to) }

// cannotRename tells errors that a rename, or the making of a file to rename,
// gives however often it is tried: a mount point (EBUSY, EXDEV), a directory
// that cannot be written to.
func cannotRename(err error) bool {
	for _, e := range []error{unix.EBUSY, unix.EXDEV, unix.EROFS, unix.EACCES, unix.EPERM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// keepOwner gives temp the owner, the group and the ACL of the file at path.
func keepOwner(temp *os.File, path string, info fs.FileInfo) error {
	made, err := temp.Stat()
	if err != nil {
		return err
	}
	was, ok1 := info.Sys().(*syscall.Stat_t)
	is, ok2 := made.Sys().(*syscall.Stat_t)
	if ok1 && ok2 && (was.Uid != is.Uid || was.Gid != is.Gid) {
		if err := temp.Chown(int(was.Uid), int(was.Gid)); err != nil {
			return err
		}
	}
	return keepACL(temp, path)
}

// syncDir makes the new name survive a crash of the machine. Not every file
// system can, and a directory that we may not list can still be written to.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}
