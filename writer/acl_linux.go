package writer

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// keepACL copies the POSIX ACL of the file at path, which on Linux is an
// extended attribute; most files have none.
func keepACL(temp *os.File, path string) error {
	const attribute = "system.posix_acl_access"
	size, err := unix.Lgetxattr(path, attribute, nil)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) || err == nil && size == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	acl := make([]byte, size)
	if size, err = unix.Lgetxattr(path, attribute, acl); err != nil {
		return err
	}
	return unix.Fsetxattr(int(temp.Fd()), attribute, acl[:size], 0)
}
