package replace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// A Location is a file's name in a directory that is held open. All that is done to
// the file and to what goes beside it is done in that directory, whatever others
// make of the path to it meanwhile. The path is followed as [pathsafe.Place] says.
//
// If we are root and the directory is another user's, all is done with that user's
// rights, as sudoedit would: what the user may not do is not done.
type Location struct {
	Path string // of the file, absolute and without links
	UID  int    // as whom we act, whose files alone are believed beside it; -1 if users have no numbers

	dir   *os.Root
	name  string
	in    fs.FileInfo // of dir
	meant *Owner      // whom the file may belong to besides

	as func(func() error) error

	spare *os.Root // for what goes beside the file but cannot; nil: dir
}

// As calls a function with the rights that the directory asks for. What [Target.At]
// calls has them already.
func (p *Location) As(do func() error) error { return p.as(do) }

// UseSpare has all that goes beside the file be in another directory.
func (p *Location) UseSpare(dir string) (err error) {
	p.spare, err = os.OpenRoot(dir)
	return err
}

// Beside is the directory for backups and claims.
func (p *Location) Beside() *os.Root {
	if p.spare != nil {
		return p.spare
	}
	return p.dir
}

// At follows the path, and calls do with what it leads to and with the rights
// that are right there. Only the last component need not exist.
func (t Target) At(do func(*Location) error) error {
	to, dir, err := pathsafe.Open(t.Path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if t.DirUID != nil && *t.DirUID != to.UID {
		return fmt.Errorf("its directory was user %d's at the start and is user %d's now", *t.DirUID, to.UID)
	}
	p := &Location{dir: dir, Path: to.Path, name: filepath.Base(to.Path), UID: os.Geteuid(), in: to.Info, meant: t.Owner, as: func(do func() error) error { return do() }}
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
	p.UID = to.UID
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

// Content is what was found under a name; nil is nothing.
type Content struct {
	Data []byte // not nil
	Info fs.FileInfo
	acl  []byte
}

// Read reads the file.
func (p *Location) Read() (*Content, error) {
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
	return &Content{data, info, acl}, err
}

// planted refuses a file that another user could have made where all can make
// files, to be given the keys. It is the kernel's rule for such directories
// (fs.protected_regular, may_create_in_sticky in fs/namei.c).
func (p *Location) planted(info fs.FileInfo) error {
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

// MayReplace says why [Target.Replace] could not write the file, as far as that is known without
// trying. was is what [Location.Read] has returned.
func (p *Location) MayReplace(was *Content) error {
	err := pathsafe.MayMake(p.dir)
	switch {
	case was != nil && err != nil: // in place
		return pathsafe.MayWrite(p.dir, p.name)
	case was != nil:
		return nil
	case err != nil:
		return err
	}
	return mayGive(p.meant)
}

// errOwner: the owner of a new file cannot be the one that is wanted.
var errOwner = errors.New("only root may make files of another owner, and others those of a group of their own")

// mayGive says whether a new file of ours can be given an owner.
func mayGive(to *Owner) error {
	if to == nil || runtime.GOOS == "windows" || mayChown() {
		return nil
	}
	groups, err := os.Getgroups()
	if to.UID >= 0 && to.UID != os.Geteuid() || err == nil && to.GID >= 0 && to.GID != os.Getegid() && !slices.Contains(groups, to.GID) {
		return &fs.PathError{Op: "chown", Err: errOwner}
	}
	return nil
}
