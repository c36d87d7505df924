// Package pathsafe follows paths and opens files where other users may have a
// hand in them: a link, a device or another user's file under a name that we
// trust must not be written to, nor believed.
package pathsafe

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// MaxLinks is how many symbolic links are followed on one path: the kernel's own
// limit.
const MaxLinks = 40

// FileMode is the mode of a file that only its owner may read.
const FileMode = 0o600

// maxFile bounds what is read: no credentials file is nearly as long, and the
// one that is may be meant to use up all memory.
const maxFile = 16 << 20

// maxRaces bounds how often something is tried anew because another program
// changed it meanwhile.
const maxRaces = 10

// ErrRaced: a name came to be another file while it was opened.
var ErrRaced = errors.New("other programs keep changing it")

// errMoved: the path was changed while it was followed.
var errMoved = errors.New("other programs keep changing the path to it")

// A Place is a name in a directory: where a path leads to.
//
// How a path is followed (Linux):
//   - Component by component from the root, each by the descriptor of the one
//     before, so that the directory that was looked at is the one that is used.
//   - A symbolic link is followed only if it is ours, root's, or belongs to the
//     owner of the directory in which the path ends. The kernel's rule for sticky
//     directories (fs.protected_symlinks, may_follow_link in fs/namei.c) asks
//     whether the link is the follower's or that of the owner of the directory it
//     is in; here it is asked in all directories, and of the directory it leads
//     to, as it is there that we are going to write. In sticky directories the kernel's
//     rule is kept as well, whether it is on or not: who makes a link in /tmp to a
//     directory of their own has what they find there from us.
type Place struct {
	Path     string      // absolute and without links
	Info     fs.FileInfo // of the directory
	UID, GID int         // of the directory; -1 and 0 where users have no numbers
}

// Open follows the path and opens the directory that it ends in, and with it the
// one that was checked. Only the last component need not exist. The caller must
// close the directory.
func Open(path string) (*Place, *os.Root, error) {
	for range maxRaces {
		p, err := Resolve(path)
		if err != nil {
			return nil, nil, err
		}
		dir, err := p.open()
		if !errors.Is(err, errMoved) {
			return p, dir, err
		}
	}
	return nil, nil, errMoved
}

// open opens the directory, if it is still the one that was found.
func (p *Place) open() (*os.Root, error) {
	dir, err := os.OpenRoot(filepath.Dir(p.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errMoved
	}
	if err != nil {
		return nil, err
	}
	if is, err := dir.Stat("."); err != nil || !os.SameFile(p.Info, is) {
		dir.Close()
		return nil, errors.Join(errMoved, err)
	}
	return dir, nil
}

// ErrNotRegular: it is a directory, a pipe, a device or a link.
var ErrNotRegular = errors.New("not a regular file")

// OpenRegular opens a file that is no link, pipe, device or directory. It never
// waits, and makes nothing.
func OpenRegular(dir *os.Root, name string, flag int) (*os.File, fs.FileInfo, error) {
	named, err := dir.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !named.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%w (%s)", ErrNotRegular, named.Mode().Type())
	}
	f, err := dir.OpenFile(name, flag|nonBlock, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(info, named) {
		err = ErrRaced // also if it has become a link
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// A NotOwnError means that a file is not what this program made.
type NotOwnError struct {
	path string
	err  error
}

func (e *NotOwnError) Error() string {
	return e.path + " is not from this user's brs-exec: " + e.err.Error()
}

// OpenOwn is OpenRegular for what only this program makes, as uid: what another
// user could have written, or put there, is refused with a *NotOwnError.
func OpenOwn(dir *os.Root, name string, flag, uid int) (*os.File, error) {
	f, info, err := OpenRegular(dir, name, flag)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrRaced) {
		return nil, err
	}
	if err == nil {
		if err = ownedAlone(info, uid); err != nil {
			f.Close()
		}
	}
	if err != nil {
		return nil, &NotOwnError{filepath.Join(dir.Name(), name), err}
	}
	return f, nil
}

// CreateOwn makes a file that only we can read.
func CreateOwn(dir *os.Root, name string) (*os.File, error) {
	return dir.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, FileMode)
}

// Put gives name to a new file with this content, in one step for readers. Until then its
// name is temp, which no other file may have, and only its owner may read it. finish may
// change the rest of it, or say with an error why name stays as it is.
func Put(dir *os.Root, temp, name string, text []byte, finish func(*os.File) error) (err error) {
	f, err := CreateOwn(dir, temp)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			dir.Remove(temp)
		}
	}()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := finish(f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return dir.Rename(temp, name)
}

// ReadAll reads a file from its beginning; one of more than 16 MiB is an error.
func ReadAll(f *os.File) ([]byte, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("longer than %d MiB", maxFile>>20)
	}
	return data, err
}

// ReadFile reads a regular file, and waits for no pipe.
func ReadFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w (%s)", ErrNotRegular, info.Mode().Type())
	}
	return ReadAll(f)
}

// Names returns the names in a directory, in no order.
func Names(dir *os.Root) ([]string, error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// RandomName returns 16 hexadecimal digits that nobody can guess.
func RandomName() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// An ActingError means that a directory is another user's, and that we may not do
// there what that user could.
type ActingError struct {
	UID int
	err error
}

func (e *ActingError) Error() string {
	return fmt.Sprintf("its directory is user %d's, as whom root cannot act here: %v", e.UID, e.err)
}
func (e *ActingError) Unwrap() error { return e.err }

// A LinkError means that a link may not be followed; see Place.
type LinkError struct {
	path string
	uid  int // whose it is
	to   int // whose directory it leads to
}

func (e *LinkError) Error() string {
	return fmt.Sprintf("%s is a symbolic link of user %d's, and leads to a directory of user %d's: it is not followed", e.path, e.uid, e.to)
}

// ByDescriptor is a path to a directory that is open, until done is called: the one of
// /proc, which leads to nothing else, or where there is none its own.
func ByDescriptor(dir *os.Root) (path string, done func(), err error) {
	d, err := dir.Open(".")
	if err != nil {
		return "", nil, err
	}
	done = func() { d.Close() }
	path = fmt.Sprintf("/proc/self/fd/%d", d.Fd())
	if is, err := os.Stat(path); err == nil {
		if info, err := d.Stat(); err == nil && os.SameFile(is, info) {
			return path, done, nil
		}
	}
	return dir.Name(), done, nil
}

// Reason is what the system says, without the names that the error says it of: whoever
// tells of it has said them.
func Reason(err error) error {
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
