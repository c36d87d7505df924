package writer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// A location is a file's name in a directory that is held open. All that is done to
// the file and to what goes beside it is done in that directory, whatever others
// make of the path to it meanwhile.
//
// How a path is followed (Linux):
//   - Component by component from the root, each by the descriptor of the one
//     before, so that the directory that was looked at is the one that is used.
//   - A symbolic link is followed only if it is ours, root's, or belongs to the
//     owner of the directory in which the path ends. The kernel's rule for sticky
//     directories (fs.protected_symlinks, may_follow_link in fs/namei.c) asks
//     whether the link is the follower's or that of the owner of the directory it
//     is in; here it is asked in all directories, and of the directory it leads
//     to, as it is there that we are going to write.
//   - If we are root and the directory is another user's, all is done with that
//     user's rights, as sudoedit would: what the user may not do is not done.
type location struct {
	dir  *os.Root
	path string // of the file, absolute and without links
	name string
	uid  int // as whom we act, whose files alone are believed beside it; -1 if users have no numbers

	in    fs.FileInfo // of dir
	meant *Owner      // whom the file may belong to besides

	// as calls a function with the rights that this directory asks for. What
	// [Target.at] calls has them already.
	as func(func() error) error

	spare *os.Root // for what goes beside the file but cannot; nil: dir
}

// beside is the directory for backups and claims.
func (p *location) beside() *os.Root {
	if p.spare != nil {
		return p.spare
	}
	return p.dir
}

// maxLinks is the kernel's own limit.
const maxLinks = 40

// errMoved: the path was changed while it was followed.
var errMoved = errors.New("other programs keep changing the path to it")

// at follows the path, and calls do with what it leads to and with the rights
// that are right there. Only the last component need not exist.
func (t Target) at(do func(*location) error) error {
	for range maxRaces {
		err := t.tryAt(do)
		if !errors.Is(err, errMoved) {
			return err
		}
	}
	return errMoved
}

func (t Target) tryAt(do func(*location) error) error {
	w, err := walk(t.Path)
	if err != nil {
		return err
	}
	if t.in != nil && *t.in != w.owner {
		return fmt.Errorf("its directory was user %d's at the start and is user %d's now", *t.in, w.owner)
	}
	p := &location{path: w.path, name: filepath.Base(w.path), uid: os.Geteuid(), in: w.dir, meant: t.Owner, as: func(do func() error) error { return do() }}
	if p.dir, err = openDir(filepath.Dir(w.path), w.dir); err != nil {
		return err
	}
	defer p.dir.Close()
	if t.BackupDir != "" {
		if p.spare, err = os.OpenRoot(t.BackupDir); err != nil {
			return err
		}
	}
	defer func() {
		if p.spare != nil { // it may come to be needed
			p.spare.Close()
		}
	}()
	if os.Geteuid() != 0 || !foreign(w.owner) {
		return do(p)
	}
	p.uid = w.owner
	gid := w.group
	if t.Owner != nil && t.Owner.GID >= 0 {
		gid = t.Owner.GID
	}
	if t.Owner != nil && t.Owner.UID >= 0 && t.Owner.UID != w.owner {
		return fmt.Errorf("its directory is user %d's, in which no file of user %d's is made", w.owner, t.Owner.UID)
	}
	if p.spare != nil {
		return fmt.Errorf("its directory is user %d's, and nothing can be made in it", w.owner)
	}
	p.as = func(do func() error) error { return as(w.owner, gid, do) }
	if err := p.as(func() error { return do(p) }); err != nil {
		return fmt.Errorf("as user %d, whose directory it is: %w", w.owner, err)
	}
	return nil
}

// openDir opens a directory that was found to be the one of info.
func openDir(path string, info fs.FileInfo) (*os.Root, error) {
	dir, err := os.OpenRoot(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errMoved
	}
	if err != nil {
		return nil, err
	}
	if is, err := dir.Stat("."); err != nil || !os.SameFile(info, is) {
		dir.Close()
		return nil, errors.Join(errMoved, err)
	}
	return dir, nil
}

// maxFile bounds what is read: no credentials file is nearly as long, and the
// one that is may be meant to use up all memory.
const maxFile = 16 << 20

// found is what was found under a name; nil is nothing.
type found struct {
	data []byte // not nil
	info fs.FileInfo
	acl  []byte
}

// read reads the file.
func (p *location) read() (*found, error) {
	f, info, err := openRegular(p.dir, p.name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := p.planted(info); err != nil {
		return nil, err
	}
	data, err := readAll(f)
	if err != nil {
		return nil, err
	}
	acl, err := aclOf(f)
	return &found{data, info, acl}, err
}

// planted refuses a file that another user could have made where all can make
// files, to be given the keys. It is the kernel's rule for such directories
// (fs.protected_regular, may_create_in_sticky in fs/namei.c).
func (p *location) planted(info fs.FileInfo) error {
	uid := uidOf(info)
	switch {
	case !foreign(uid), uid == os.Geteuid(), uid == uidOf(p.in), p.meant != nil && p.meant.UID == uid,
		p.in.Mode()&fs.ModeSticky == 0, !othersWrite(p.in):
		return nil
	}
	return &plantedError{uid}
}

// A plantedError says whose the file is.
type plantedError struct{ uid int }

func (e *plantedError) Error() string {
	return fmt.Sprintf("it is user %d's, in a directory where all users can make files: the keys in it would be that user's", e.uid)
}

var errNotRegular = errors.New("not a regular file")

// openRegular opens a file that is no link, pipe, device or directory. It never
// waits, and makes nothing.
func openRegular(dir *os.Root, name string, flag int) (*os.File, fs.FileInfo, error) {
	named, err := dir.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !named.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%w (%s)", errNotRegular, named.Mode().Type())
	}
	f, err := dir.OpenFile(name, flag|nonBlock, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(info, named) {
		err = errRaced // also if it has become a link
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// A notOwnError means that a file is not what this program made.
type notOwnError struct {
	path string
	err  error
}

func (e *notOwnError) Error() string {
	return e.path + " is not from this user's brs-exec: " + e.err.Error()
}

// openOwn is openRegular for what only this program makes, as uid: what another
// user could have written, or put there, is refused.
func openOwn(dir *os.Root, name string, flag, uid int) (*os.File, error) {
	f, info, err := openRegular(dir, name, flag)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errRaced) {
		return nil, err
	}
	if err == nil {
		if err = ownedAlone(info, uid); err != nil {
			f.Close()
		}
	}
	if err != nil {
		return nil, &notOwnError{filepath.Join(dir.Name(), name), err}
	}
	return f, nil
}

// createOwn makes a file that only we can read.
func createOwn(dir *os.Root, name string) (*os.File, error) {
	return dir.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
}

func readAll(f *os.File) ([]byte, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("longer than %d MiB", maxFile>>20)
	}
	return data, err
}

// readUserFile reads another file of the user's, if it is one.
func readUserFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	return readAll(f)
}

// An actingError means that a directory is another user's, and that we may not do
// there what that user could.
type actingError struct {
	uid int
	err error
}

func (e *actingError) Error() string {
	return fmt.Sprintf("its directory is user %d's, as whom root cannot act here: %v", e.uid, e.err)
}
func (e *actingError) Unwrap() error { return e.err }

// A linkError means that a link may not be followed; see location.
type linkError struct {
	path string
	uid  int // whose it is
	to   int // whose directory it leads to
}

func (e *linkError) Error() string {
	return fmt.Sprintf("%s is a symbolic link of user %d's, and leads to a directory of user %d's: it is not followed", e.path, e.uid, e.to)
}
