package replace

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const aclAttribute = "system.posix_acl_access"

// aclOf returns the POSIX ACL of a file, which on Linux is an extended
// attribute; most files have none.
func aclOf(f *os.File) ([]byte, error) {
	size, err := unix.Fgetxattr(int(f.Fd()), aclAttribute, nil)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) || err == nil && size == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	acl := make([]byte, size)
	if size, err = unix.Fgetxattr(int(f.Fd()), aclAttribute, acl); err != nil {
		return nil, err
	}
	return acl[:size], nil
}

func setACL(f *os.File, acl []byte) error {
	if acl == nil {
		return nil
	}
	return unix.Fsetxattr(int(f.Fd()), aclAttribute, acl, 0)
}

// mayChown tells whether we may give files away: CAP_CHOWN, which root may be without.
func mayChown() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) != nil || data[0].Effective&(1<<unix.CAP_CHOWN) != 0
}
