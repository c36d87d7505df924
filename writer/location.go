package writer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"brs-exec/writer/pathsafe"
)

// A location is a file's name in a directory that is held open. All that is done to
// the file and to what goes beside it is done in that directory, whatever others
// make of the path to it meanwhile. The path is followed as [pathsafe.Place] says.
//
// If we are root and the directory is another user's, all is done with that user's
// rights, as sudoedit would: what the user may not do is not done.
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

// at follows the path, and calls do with what it leads to and with the rights
// that are right there. Only the last component need not exist.
func (t Target) at(do func(*location) error) error {
	to, dir, err := pathsafe.Open(t.Path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if t.in != nil && *t.in != to.UID {
		return fmt.Errorf("its directory was user %d's at the start and is user %d's now", *t.in, to.UID)
	}
	p := &location{dir: dir, path: to.Path, name: filepath.Base(to.Path), uid: os.Geteuid(), in: to.Info, meant: t.Owner, as: func(do func() error) error { return do() }}
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
	if os.Geteuid() != 0 || !pathsafe.Foreign(to.UID) {
		return do(p)
	}
	p.uid = to.UID
	gid := to.GID
	if t.Owner != nil && t.Owner.GID >= 0 {
		gid = t.Owner.GID
	}
	if t.Owner != nil && t.Owner.UID >= 0 && t.Owner.UID != to.UID {
		return fmt.Errorf("its directory is user %d's, in which no file of user %d's is made", to.UID, t.Owner.UID)
	}
	if p.spare != nil {
		return fmt.Errorf("its directory is user %d's, and nothing can be made in it", to.UID)
	}
	p.as = func(do func() error) error { return pathsafe.As(to.UID, gid, do) }
	if err := p.as(func() error { return do(p) }); err != nil {
		return fmt.Errorf("as user %d, whose directory it is: %w", to.UID, err)
	}
	return nil
}

// found is what was found under a name; nil is nothing.
type found struct {
	data []byte // not nil
	info fs.FileInfo
	acl  []byte
}

// read reads the file.
func (p *location) read() (*found, error) {
	f, info, err := pathsafe.OpenRegular(p.dir, p.name, os.O_RDONLY)
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
	data, err := pathsafe.ReadAll(f)
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
	uid := pathsafe.UID(info)
	switch {
	case !pathsafe.Foreign(uid), uid == os.Geteuid(), uid == pathsafe.UID(p.in), p.meant != nil && p.meant.UID == uid,
		p.in.Mode()&fs.ModeSticky == 0, !pathsafe.OthersWrite(p.in):
		return nil
	}
	return &plantedError{uid}
}

// A plantedError says whose the file is.
type plantedError struct{ uid int }

func (e *plantedError) Error() string {
	return fmt.Sprintf("it is user %d's, in a directory where all users can make files: the keys in it would be that user's", e.uid)
}
