// Package replace gives a file that others read, and write as well, new content in
// one step: a new file takes its name, with its owner, mode and ACL.
//
// A reader never sees a torn, empty or mixed file. What cannot be promised: on NFS a
// reader that holds the old file open may get an error instead of the old content,
// and a bind mount of a single file never shows the renamed one (mount its directory).
package replace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// Target is a file to be replaced.
type Target struct {
	// Path names the file. A symbolic link is followed, and what it points to
	// replaced; anything but a regular file is refused.
	Path string
	// Perm is the mode of a file that does not exist yet, exactly: the umask
	// does not apply. An existing file keeps its owner, mode and ACL.
	Perm fs.FileMode
	// Owner is who owns a file that does not exist yet; nil is who makes it.
	Owner *Owner
	// BackupDir is where the backup goes that is made before a file has to be
	// written in place. "" is the file's own directory.
	BackupDir string

	// DirUID is who owns the file's directory: another's is refused. nil is anyone.
	DirUID *int
	// Rename is for tests, which have it fail; nil is the system's.
	Rename func(from, to string) error

	fsync func(*os.File) error // for tests, which note the order; nil is the system's
}

// Owner is a user and a group by their numbers; -1 leaves either as it is. It
// means nothing on Windows.
type Owner struct{ UID, GID int }

// Way says how a file was changed.
type Way int

const (
	// Unchanged: edit returned what was there, and nothing was written.
	Unchanged Way = iota
	// Renamed: a new file took the name. Readers see the old content or the
	// new, never anything else.
	Renamed
	// InPlace: the name could not be given to a new file (the file is a mount
	// point, its directory is not writable, its owner could not be kept), so
	// the file was overwritten. A reader in that moment may see a mixture.
	InPlace
)

// Result says what Replace did.
type Result struct {
	Way  Way
	Path string // the file that was replaced, after symbolic links
	// Cause is why it was written in place.
	Cause error
}

// maxRaces bounds how often a file is read anew because another program wrote
// it between our reading and our renaming.
const maxRaces = 10

// Replace locks a sentinel beside the file (never the file: its inode changes),
// reads the file, and gives what edit returns to a temporary file in the same
// directory, which then takes the file's name; file and directory are synced.
// edit gets nil if the file does not exist, and may return nil to leave it so.
// It may be called again if the file
// was changed meanwhile by a program that does not lock. The new file's
// modification time is always later than the old one's, as some readers
// compare only that. ctx bounds the wait for another writer's lock.
//
// If a rename is impossible the file is overwritten, after a backup. On any
// error, also a full disk, the file is as it was, and no temporary file stays;
// a backup stays only if the file could not be put right again, and the error
// then names it. Other hard links to the file keep the old content.
func (t Target) Replace(ctx context.Context, edit func(old []byte) ([]byte, error)) (res Result, err error) {
	res.Path = t.Path
	err = t.At(func(p *Location) error {
		res.Path = p.Path
		unlock, err := p.lockTidy(ctx)
		if err != nil {
			return err
		}
		defer unlock()
		for range maxRaces {
			res.Way, res.Cause, err = t.once(ctx, p, edit)
			if !errors.Is(err, pathsafe.ErrRaced) {
				return err
			}
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("replace %s: %w", res.Path, err)
	}
	return res, err
}

// Recover tidies up after writers that were killed.
func (p *Location) Recover(ctx context.Context) error {
	unlock, err := p.lockTidy(ctx)
	if err == nil {
		unlock()
	}
	return err
}

// lockTidy locks the sentinel and tidies up after writers that were killed.
func (p *Location) lockTidy(ctx context.Context) (unlock func(), err error) {
	if unlock, err = p.Lock(ctx); err != nil {
		return nil, err
	}
	p.removeLeftovers()
	if err := p.recoverInPlace(ctx); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

func (t Target) once(ctx context.Context, p *Location, edit func(old []byte) ([]byte, error)) (Way, error, error) {
	was, err := p.Read()
	if err != nil {
		return Unchanged, nil, err
	}
	var old []byte
	if was != nil {
		old = was.Data
	}
	content, err := edit(old)
	if err != nil {
		return Unchanged, nil, err
	}
	if bytes.Equal(old, content) && (was != nil || content == nil) {
		return Unchanged, nil, nil
	}
	cause := t.renameNew(p, content, was)
	if cause == nil {
		return Renamed, nil, t.syncDir(p.dir)
	}
	if was == nil || !mustWriteInPlace(cause) {
		return Unchanged, nil, cause
	}
	if err := p.overwrite(ctx, old, content); err != nil {
		return Unchanged, nil, fmt.Errorf("in place, as %w: %w", cause, err)
	}
	return InPlace, cause, nil
}

// renameNew writes content to a temporary file and gives it the file's name.
func (t Target) renameNew(p *Location, content []byte, was *Content) (err error) {
	name := BesidePrefix(p.name) + pathsafe.RandomName() + tempSuffix
	temp, err := pathsafe.CreateOwn(p.dir, name)
	if err != nil {
		return err
	}
	renamed := false
	defer func() {
		if !renamed {
			temp.Close()
			p.dir.Remove(name)
		}
	}()
	if _, err := temp.Write(content); err != nil {
		return err
	}
	if err := t.copyMetadata(p, temp, name, was); err != nil {
		return err
	}
	// Without it a crash of the machine can leave an empty file under the new
	// name: file systems write names before they write content.
	if err := t.sync(temp); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	if err := temp.Close(); err != nil { // NFS says only here that the disk is full
		return err
	}
	if err := p.unchanged(was); err != nil {
		return err
	}
	if t.Rename != nil {
		err = t.Rename(filepath.Join(filepath.Dir(p.Path), name), p.Path)
	} else {
		err = renameOver(p.dir, name, p.name)
	}
	// An NFS server may have done it and its answer been lost: asked again, it
	// does not find the file.
	if errors.Is(err, fs.ErrNotExist) {
		if now, rerr := p.Read(); rerr == nil && now != nil && bytes.Equal(now.Data, content) {
			err = nil
		}
	}
	renamed = err == nil
	return err
}

func (t Target) sync(f *os.File) error {
	if t.fsync != nil {
		return t.fsync(f)
	}
	return f.Sync()
}

// unchanged returns pathsafe.ErrRaced if the file is not what it was when it was read.
func (p *Location) unchanged(was *Content) error {
	now, err := p.Read()
	if err != nil {
		return err
	}
	if (was == nil) != (now == nil) || was != nil && !bytes.Equal(now.Data, was.Data) {
		return pathsafe.ErrRaced
	}
	return nil
}

// copyMetadata gives the new file the mode, owner, ACL and a later time than the one
// it replaces.
func (t Target) copyMetadata(p *Location, temp *os.File, name string, was *Content) error {
	made, err := temp.Stat()
	if err != nil {
		return err
	}
	if was == nil {
		if t.Owner != nil && runtime.GOOS != "windows" {
			if err := temp.Chown(t.Owner.UID, t.Owner.GID); err != nil {
				return err
			}
		}
		return temp.Chmod(t.Perm)
	}
	if err := keepOwner(temp, made, was); err != nil {
		return &ownerError{err}
	}
	// After the owner: changing that clears the set-id bits.
	if err := temp.Chmod(was.Info.Mode()); err != nil {
		return err
	}
	if last := was.Info.ModTime(); !made.ModTime().After(last) {
		// A second that Java and others with a coarse clock can tell apart.
		return p.dir.Chtimes(name, time.Time{}, last.Truncate(time.Second).Add(time.Second))
	}
	return nil
}

// An ownerError means that a new file could not get the owner of the old one.
type ownerError struct{ err error }

func (e *ownerError) Error() string { return "its owner cannot be kept: " + e.err.Error() }
func (e *ownerError) Unwrap() error { return e.err }

// mustWriteInPlace tells errors that say that the name cannot change hands from
// those that say that nothing can be written now.
func mustWriteInPlace(err error) bool {
	var owner *ownerError
	return errors.As(err, &owner) || CannotRename(err)
}

// BesidePrefix begins the names of all that we put beside a file, for leftovers to be
// told from others' files.
func BesidePrefix(name string) string { return "." + name + ".brs-exec-" }

const tempSuffix = ".tmp"

// removeLeftovers removes the temporary files of writers that were killed. The
// caller holds the lock, so there are no others.
func (p *Location) removeLeftovers() {
	names, _ := pathsafe.Names(p.dir)
	for _, name := range names {
		if strings.HasPrefix(name, BesidePrefix(p.name)) && strings.HasSuffix(name, tempSuffix) {
			p.dir.Remove(name) // the next one tries again
		}
	}
}

// RemoveIfEmpty removes the file if nothing is in it.
func (t Target) RemoveIfEmpty(ctx context.Context) error {
	return t.At(func(p *Location) error {
		unlock, err := p.Lock(ctx)
		if err != nil {
			return err
		}
		defer unlock()
		now, err := p.Read()
		if err != nil || now == nil || len(now.Data) > 0 {
			return err
		}
		if err := p.dir.Remove(p.name); err != nil && !CannotRename(err) { // a mount point stays
			return err
		}
		return nil
	})
}

// SaveBackup keeps content beside the file, for people.
func (t Target) SaveBackup(content []byte) (path string, err error) {
	err = t.At(func(p *Location) error {
		name := p.newBackup()
		path = filepath.Join(p.Beside().Name(), name)
		return writeNew(p.Beside(), name, content)
	})
	return path, err
}

// MakeDir makes a directory of its owner's alone, unless it is there.
func MakeDir(path string) error {
	err := Target{Path: path}.At(func(p *Location) error { return p.dir.Mkdir(p.name, 0o700) })
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Hint says what a person can do about an error of At; "" is nothing that the error
// does not say itself.
func Hint(err error) string {
	var acting *pathsafe.ActingError
	var planted *plantedError
	switch {
	case errors.As(err, &acting):
		return fmt.Sprintf("run brs-exec as user %d, or with CAP_SETUID and CAP_SETGID", acting.UID)
	case errors.As(err, new(*pathsafe.LinkError)):
		return "name the file that it leads to, or make the link anew as its owner or root"
	case errors.As(err, &planted):
		return fmt.Sprintf("name a file in a directory of your own, or add --file-owner %d if that user is to have the keys", planted.uid)
	}
	return ""
}
