package metrics

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"brs-exec/writer/pathsafe"
)

// socketFile is a listener on a socket file that nobody but our user may connect to.
type socketFile struct {
	net.Listener
	path string
	is   fs.FileInfo
}

// bindFile makes a socket file. One that is there is replaced only if it is ours and
// nobody listens there any more.
//
// The socket gets its name once its mode is right: before that, another user could
// connect to it.
func bindFile(path string) (net.Listener, error) {
	if err := replaceable(path); err != nil {
		return nil, err
	}
	temp := filepath.Join(filepath.Dir(path), "."+pathsafe.RandomName()[:8])
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temp, Net: "unix"})
	if err != nil {
		return nil, reason(err)
	}
	l.SetUnlinkOnClose(false)
	fail := func(err error) (net.Listener, error) {
		os.Remove(temp)
		l.Close()
		return nil, reason(err)
	}
	if err := os.Chmod(temp, 0o600); err != nil {
		return fail(err)
	}
	is, err := os.Lstat(temp)
	if err != nil {
		return fail(err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fail(err)
	}
	return &socketFile{l, path, is}, nil
}

// replaceable returns why a path may not become a socket of ours.
func replaceable(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return reason(err)
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file of that name, which is no socket")
	case pathsafe.UID(info) != os.Geteuid():
		return fmt.Errorf("there is a socket of user %d's", pathsafe.UID(info))
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return errors.New("another program listens there")
	}
	if !refused(err) {
		return reason(err)
	}
	return nil
}

// Close removes the file as well, unless it is another one by now.
func (s *socketFile) Close() error {
	if is, err := os.Lstat(s.path); err == nil && os.SameFile(is, s.is) {
		os.Remove(s.path)
	}
	return s.Listener.Close()
}

// reason takes off what an error says of the path: its caller has named it.
func reason(err error) error {
	var op *net.OpError
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &op):
		return op.Err
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
