package events

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// Target is where lines go. One of its fields is set.
type Target struct {
	File   string // absolute path
	Socket string // absolute path of a stream socket that somebody listens at
	FD     int    // a descriptor that we were started with; 0 is none
}

func (t Target) String() string {
	switch {
	case t.Socket != "":
		return "unix:" + t.Socket
	case t.FD != 0:
		return "fd:" + strconv.Itoa(t.FD)
	}
	return t.File
}

func (t Target) open() (sink, error) {
	switch {
	case t.Socket != "":
		return &socket{path: t.Socket}, nil
	case t.FD != 0:
		f, err := takeDescriptor(t.FD)
		if err != nil {
			return nil, err
		}
		return descriptor{f}, nil
	}
	f := &file{path: t.File}
	return f, f.reopen()
}

// Check says why lines could not be written there, as far as that is known at a start. It makes
// and takes nothing.
func (t Target) Check() error {
	switch {
	case t.Socket != "": // somebody may listen later
		return nil
	case t.FD != 0:
		return checkDescriptor(t.FD)
	}
	place, dir, err := pathsafe.Open(t.File)
	if err != nil {
		return pathsafe.Reason(err)
	}
	defer dir.Close()
	name := filepath.Base(place.Path)
	info, err := dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = pathsafe.MayMake(dir)
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%w (%s)", pathsafe.ErrNotRegular, info.Mode().Type())
	default:
		if err = mayAdd(info, place.UID); err == nil {
			err = pathsafe.MayWrite(dir, name)
		}
	}
	return pathsafe.Reason(err)
}

// descriptor is one that we were started with.
type descriptor struct{ f *os.File }

func (d descriptor) write(b []byte) (int, error) { return d.f.Write(b) }
func (d descriptor) close()                      { d.f.Close() }

// file is a file that lines are added to. When another one has its name, as after
// logrotate, that one is written to.
type file struct {
	path string
	f    *os.File
	is   fs.FileInfo
	torn bool // a line was cut off
}

func (f *file) write(b []byte) (int, error) {
	if now, err := os.Stat(f.path); f.f == nil || err != nil || !os.SameFile(now, f.is) {
		if err := f.reopen(); err != nil && f.f == nil {
			return 0, err
		} // else the old one is better than none
	}
	if f.torn { // a program that reads skips the piece
		if _, err := f.f.Write([]byte("\n")); err != nil {
			return 0, pathsafe.Reason(err)
		}
		f.torn = false
	}
	n, err := f.f.Write(b)
	f.torn = n > 0 && b[n-1] != '\n'
	return n, pathsafe.Reason(err)
}

func (f *file) close() {
	if f.f != nil {
		f.f.Close()
	}
}

// reopen opens the file that has the name now, or makes one that only we can read.
func (f *file) reopen() error {
	place, dir, err := pathsafe.Open(f.path)
	if err != nil {
		return pathsafe.Reason(err)
	}
	defer dir.Close()
	name := filepath.Base(place.Path)
	for range 3 { // another program may make it, or take it away
		next, info, err := pathsafe.OpenRegular(dir, name, os.O_WRONLY|os.O_APPEND)
		if errors.Is(err, fs.ErrNotExist) {
			next, err = dir.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, pathsafe.FileMode)
			if errors.Is(err, fs.ErrExist) {
				continue
			}
			if err == nil {
				info, err = next.Stat()
			}
		}
		if err != nil {
			return pathsafe.Reason(err)
		}
		if err := mayAdd(info, place.UID); err != nil {
			next.Close()
			return err
		}
		f.close()
		f.f, f.is = next, info
		return nil
	}
	return pathsafe.ErrRaced
}

// socket is one that somebody listens at, or will.
type socket struct {
	path string
	conn net.Conn
}

const (
	dialTime  = time.Second
	writeTime = 5 * time.Second
)

// write connects if need be. After an error the connection is given up, and with it the
// line that was cut off; it is written again to the next one.
func (s *socket) write(b []byte) (int, error) {
	if s.conn != nil && gone(s.conn) {
		s.close()
	}
	if s.conn == nil {
		if err := mayListen(s.path); err != nil {
			return 0, pathsafe.Reason(err)
		}
		conn, err := net.DialTimeout("unix", s.path, dialTime)
		if err != nil {
			return 0, pathsafe.Reason(err)
		}
		s.conn = conn
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeTime))
	n, err := s.conn.Write(b)
	if err != nil {
		s.close()
		return n, pathsafe.Reason(err)
	}
	return n, nil
}

// mayListen says why nothing is told to a socket. Where all users make files, as in /tmp, any
// of them may have made it before the one that is meant; such a one stays as it is, because the
// directory is sticky.
func mayListen(path string) error {
	place, dir, err := pathsafe.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	info, err := dir.Lstat(filepath.Base(place.Path))
	if err != nil {
		return err
	}
	if uid := pathsafe.UID(info); place.Info.Mode()&fs.ModeSticky != 0 && place.Info.Mode().Perm()&0o002 != 0 && uid != os.Geteuid() && pathsafe.Foreign(uid) && uid != place.UID {
		return fmt.Errorf("it is user %d's, in a directory where all make files", uid)
	}
	return nil
}

func (s *socket) close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// gone tells whether the other side has closed the connection: what is written then
// would be lost without an error. It has nothing to say to us otherwise.
func gone(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.Read(make([]byte, 512))
	var slow net.Error
	return err != nil && !(errors.As(err, &slow) && slow.Timeout())
}

var errNotOpen = errors.New("is not open")

// notWritable is a descriptor that cannot be written to.
func notWritable(fd int) error { return fmt.Errorf("%d cannot be written to", fd) }
