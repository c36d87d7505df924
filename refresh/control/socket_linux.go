package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// fdPath leads to what is open, and to nothing else.
func fdPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// dial connects to the socket that was looked at: the directory's user might exchange it,
// and its name, with a link to something that listens to root.
func dial(ctx context.Context, dir string, uid int) (*net.UnixConn, error) {
	d, err := openPath(unix.AT_FDCWD, dir, unix.O_DIRECTORY, unix.S_IFDIR, uid)
	if err != nil {
		return nil, err
	}
	defer unix.Close(d)
	s, err := openPath(d, socketName, 0, unix.S_IFSOCK, uid)
	if err != nil {
		return nil, err
	}
	defer unix.Close(s)
	path := fdPath(s)
	if _, err := os.Lstat(path); err != nil { // no /proc
		path = filepath.Join(dir, socketName)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// openPath opens a directory or a socket, for nothing but to go on from it, that is of this
// kind and user.
func openPath(at int, name string, flag int, kind uint32, uid int) (fd int, err error) {
	fd, err = unix.Openat(at, name, flag|unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	var st unix.Stat_t
	switch err = unix.Fstat(fd, &st); {
	case err != nil:
	case st.Mode&unix.S_IFMT != kind:
		err = fmt.Errorf("%s is of another kind", name)
	case int(st.Uid) != uid:
		err = fmt.Errorf("%s is user %d's", name, st.Uid)
	case st.Mode&0o077 != 0:
		err = fmt.Errorf("%s is open to others (mode %04o)", name, st.Mode&0o777)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// isBusy tells that more clients wait than the socket has room for: nobody takes them.
func isBusy(err error) bool { return errors.Is(err, unix.EAGAIN) }

// peer returns the user and the process at the other end; unix(7).
func peer(conn *net.UnixConn) (uid, pid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var cred *unix.Ucred
	cerr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(cerr, err); err != nil {
		return 0, 0, err
	}
	return int(cred.Uid), int(cred.Pid), nil
}

const unknownUID = -1
