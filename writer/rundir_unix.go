//go:build unix

package writer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// moveTo gives the directory its name. The lock goes with it.
func (d *runDir) moveTo(final string) error {
	if err := os.Rename(d.path, final); err != nil {
		return err
	}
	d.path = final
	return nil
}

// overflowUID is how an owner without a number in this user namespace appears;
// root of the machine, for one, in a sandbox.
const overflowUID = 65534

// trusted says why the owner or the mode of a base directory let others move
// what is in it. only means that nobody else may even look.
func trusted(info fs.FileInfo, only bool) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("its owner is unknown")
	}
	me := os.Geteuid()
	sticky := info.Mode()&fs.ModeSticky != 0
	switch {
	case only && (int(st.Uid) != me || info.Mode().Perm()&0o077 != 0):
		return fmt.Errorf("owned by uid %d with mode %04o: must be ours and 0700", st.Uid, info.Mode().Perm())
	case int(st.Uid) != me && st.Uid != 0 && (st.Uid != overflowUID || !sticky):
		return fmt.Errorf("owned by uid %d, not by us or root", st.Uid)
	case info.Mode().Perm()&0o022 != 0 && !sticky:
		return fmt.Errorf("others can write to it and it has no sticky bit (mode %04o)", info.Mode().Perm())
	}
	return nil
}

// ours tells a run directory of this user, that nobody else could change.
func ours(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && info.Mode().Perm()&0o077 == 0
}
