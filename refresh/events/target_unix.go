//go:build unix

package events

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// takeDescriptor takes a descriptor that we were started with. It is ours alone from then
// on: a command that had it too would keep whoever reads from seeing the end. 1 and 2
// stay the command's as well.
func takeDescriptor(fd int) (*os.File, error) {
	if err := checkDescriptor(fd); err != nil {
		return nil, err
	}
	// Not 1, 2: there a closed pipe would end us.
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	if fd > 2 {
		if err := holdPlace(fd); err != nil {
			unix.Close(own)
			return nil, fmt.Errorf("descriptor %d: %w", fd, err)
		}
	}
	return os.NewFile(uintptr(own), fmt.Sprintf("fd:%d", fd)), nil
}

// checkDescriptor says why a descriptor cannot be taken.
func checkDescriptor(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || fd > 2 && flags&unix.FD_CLOEXEC != 0 { // that one is of our own
		return fmt.Errorf("descriptor %d %w", fd, errNotOpen)
	}
	mode, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || mode&unix.O_ACCMODE == unix.O_RDONLY {
		return fmt.Errorf("descriptor %w", notWritable(fd))
	}
	return nil
}

// holdPlace puts nothing in the place of a descriptor, for us alone. Its number stays
// taken: the supervisor gives up by their numbers what it was started with.
func holdPlace(fd int) error {
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(null)
	if err := unix.Dup2(null, fd); err != nil {
		return err
	}
	unix.CloseOnExec(fd)
	return nil
}

// mayAdd returns why lines may not be added to a file. It has to be ours, root's, or of
// the owner of its directory; and to have one name, or it may be any file under another.
func mayAdd(info fs.FileInfo, dirUID int) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return nil
	case st.Nlink > 1:
		return fmt.Errorf("it has %d names", st.Nlink)
	}
	if uid := int(st.Uid); uid != os.Geteuid() && pathsafe.Foreign(uid) && uid != dirUID {
		return fmt.Errorf("it is user %d's", uid)
	}
	return nil
}
