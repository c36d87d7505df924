//go:build unix

package replace

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func renameOver(dir *os.Root, from, to string) error { return dir.Rename(from, to) }

// CannotRename tells errors that a rename, or the making of a file to rename,
// gives however often it is tried: a mount point (EBUSY, EXDEV), a directory
// that cannot be written to.
func CannotRename(err error) bool {
	for _, e := range []error{unix.EBUSY, unix.EXDEV, unix.EROFS, unix.EACCES, unix.EPERM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// keepOwner gives temp, a new file, the owner, the group and the ACL of the file
// that it replaces.
func keepOwner(temp *os.File, made fs.FileInfo, old *Content) error {
	was, ok1 := old.Info.Sys().(*syscall.Stat_t)
	is, ok2 := made.Sys().(*syscall.Stat_t)
	if ok1 && ok2 && (was.Uid != is.Uid || was.Gid != is.Gid) {
		if err := temp.Chown(int(was.Uid), int(was.Gid)); err != nil {
			return err
		}
	}
	return setACL(temp, old.acl)
}

// syncDir makes the new name survive a crash of the machine. Not every file
// system can.
func (t Target) syncDir(dir *os.Root) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.sync(f); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}
