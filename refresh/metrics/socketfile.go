package metrics

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// socketFile is a listener on a socket file that nobody but our user may connect to.
type socketFile struct {
	net.Listener
	dir  *os.Root
	name string
	is   fs.FileInfo
}

// bindFile makes a socket file. One that is there is replaced only if it is ours and
// nobody listens there any more. The directory is used by its descriptor, whoever may
// change the path to it meanwhile.
//
// The socket is made in a directory that nobody else can enter, and comes out of it once its mode
// is right: before that, another user could connect to it, or put a file of ours in its place.
func bindFile(path string) (_ net.Listener, err error) {
	dir, name, err := locateSocket(path)
	if err != nil {
		return nil, err
	}
	temp := "." + pathsafe.RandomName()[:6]
	var l *net.UnixListener
	defer func() {
		if err != nil {
			if l != nil {
				l.Close()
			}
			dir.Close()
			err = pathsafe.Reason(err)
		}
	}()
	if err := dir.Mkdir(temp, 0o700); err != nil {
		return nil, err
	}
	defer func() { _ = dir.Remove(temp) }()
	l, is, err := bindIn(dir, temp)
	if err != nil {
		return nil, err
	}
	if err := dir.Rename(filepath.Join(temp, tempSocket), name); err != nil {
		_ = dir.Remove(filepath.Join(temp, tempSocket))
		return nil, err
	}
	return &socketFile{l, dir, name, is}, nil
}

// locateSocket finds the directory of a socket file, and makes sure that it can be made there.
func locateSocket(path string) (dir *os.Root, name string, err error) {
	place, dir, err := pathsafe.Open(path)
	if err != nil {
		return nil, "", pathsafe.Reason(err)
	}
	name = filepath.Base(place.Path)
	if err = replaceable(dir, name); err == nil {
		err = pathsafe.MayMake(dir)
	}
	if err != nil {
		dir.Close()
		return nil, "", pathsafe.Reason(err)
	}
	return dir, name, nil
}

const tempSocket = "s"

// bindIn makes a socket in a directory that was just made.
func bindIn(parent *os.Root, name string) (l *net.UnixListener, is fs.FileInfo, err error) {
	dir, err := parent.OpenRoot(name)
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	info, err := dir.Stat(".")
	if err != nil {
		return nil, nil, err
	}
	if uid := pathsafe.UID(info); uid >= 0 && (uid != os.Geteuid() || info.Mode().Perm()&0o077 != 0) {
		return nil, nil, pathsafe.ErrRaced
	}
	by, done, err := pathsafe.ByDescriptor(dir)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(by, tempSocket), Net: "unix"}); err != nil {
		return nil, nil, err
	}
	l.SetUnlinkOnClose(false)
	if err = dir.Chmod(tempSocket, 0o600); err == nil {
		is, err = dir.Lstat(tempSocket)
	}
	if err != nil {
		_ = dir.Remove(tempSocket)
		l.Close()
		return nil, nil, err
	}
	return l, is, nil
}

// replaceable returns why a name may not become a socket of ours.
func replaceable(dir *os.Root, name string) error {
	info, err := dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file of that name, which is no socket")
	case pathsafe.UID(info) >= 0 && pathsafe.UID(info) != os.Geteuid():
		return fmt.Errorf("there is a socket of user %d's", pathsafe.UID(info))
	}
	by, done, err := pathsafe.ByDescriptor(dir)
	if err != nil {
		return err
	}
	defer done()
	conn, err := net.DialTimeout("unix", filepath.Join(by, name), time.Second)
	if err == nil {
		conn.Close()
		return errors.New("another program listens there")
	}
	if !refused(err) {
		return err
	}
	return nil
}

// Close removes the file as well, unless it is another one by now.
func (s *socketFile) Close() error {
	if is, err := s.dir.Lstat(s.name); err == nil && os.SameFile(is, s.is) {
		_ = s.dir.Remove(s.name)
	}
	return errors.Join(s.Listener.Close(), s.dir.Close())
}
