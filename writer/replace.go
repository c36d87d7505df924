package writer

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Replace changes the file at path to what edit makes of its content, in one
// step for readers; it is Target{Path: path, Perm: perm}.Replace(edit).
func Replace(path string, perm fs.FileMode, edit func(old []byte) ([]byte, error)) (Result, error) {
	return Target{Path: path, Perm: perm}.Replace(edit)
}

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

	// private is for files in a directory that only this process writes to, and
	// that nobody wants back after a crash of the machine: no lock, no search
	// for strays, no sync. The old file is not opened either, so that whoever
	// opens one is a reader; edit gets nil, and what it returns is written also
	// if it is the same again.
	private bool

	rename func(from, to string) error // nil is the system's; tests have it fail
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
// compare only that.
//
// If a rename is impossible the file is overwritten, after a backup. On any
// error, also a full disk, the file is as it was, and no temporary file stays;
// a backup stays only if the file could not be put right again, and the error
// then names it. Other hard links to the file keep the old content.
func (t Target) Replace(edit func(old []byte) ([]byte, error)) (res Result, err error) {
	path, err := resolve(t.Path)
	if err != nil {
		return Result{}, fmt.Errorf("replace %s: %w", t.Path, err)
	}
	res.Path = path
	defer func() {
		if err != nil {
			err = fmt.Errorf("replace %s: %w", path, err)
		}
	}()
	if !t.private {
		unlock, lerr := t.lockTidy(path)
		if lerr != nil {
			return res, lerr
		}
		defer unlock()
	}
	for range maxRaces {
		res.Way, res.Cause, err = t.once(path, edit)
		if !errors.Is(err, errRaced) {
			return res, err
		}
	}
	return res, err
}

// lockTidy locks the sentinel and tidies up after writers that were killed.
func (t Target) lockTidy(path string) (unlock func(), err error) {
	if unlock, err = lockBeside(path); err != nil {
		return nil, err
	}
	removeStrays(path)
	if err := mendInPlace(path, t.BackupDir); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// tidy tidies up after writers that were killed.
func (t Target) tidy(path string) error {
	unlock, err := t.lockTidy(path)
	if err == nil {
		unlock()
	}
	return err
}

var errRaced = errors.New("other programs keep changing it")

func (t Target) once(path string, edit func(old []byte) ([]byte, error)) (Way, error, error) {
	read := readRegular
	if t.private {
		read = func(path string) ([]byte, fs.FileInfo, error) {
			info, err := statRegular(path)
			return nil, info, err
		}
	}
	old, info, err := read(path)
	if err != nil {
		return Unchanged, nil, err
	}
	content, err := edit(old)
	if err != nil {
		return Unchanged, nil, err
	}
	if !t.private && bytes.Equal(old, content) && (info != nil || content == nil) {
		return Unchanged, nil, nil
	}
	cause := t.renameNew(path, content, old, info)
	switch {
	case cause == nil && t.private:
		return Renamed, nil, nil
	case cause == nil:
		return Renamed, nil, syncDir(filepath.Dir(path))
	}
	if info == nil || !mustWriteInPlace(cause) {
		return Unchanged, nil, cause
	}
	if t.private {
		if old, _, err = readRegular(path); err != nil {
			return Unchanged, nil, err
		}
	}
	if err := overwrite(path, old, content, t.BackupDir); err != nil {
		return Unchanged, nil, fmt.Errorf("in place, as %w: %w", cause, err)
	}
	return InPlace, cause, nil
}

// renameNew writes content to a temporary file and gives it the name of path.
func (t Target) renameNew(path string, content, old []byte, info fs.FileInfo) (err error) {
	temp, err := createTemp(path)
	if err != nil {
		return err
	}
	renamed := false
	defer func() {
		if !renamed {
			temp.Close()
			os.Remove(temp.Name())
		}
	}()
	if _, err := temp.Write(content); err != nil {
		return err
	}
	if err := t.dress(temp, path, info); err != nil {
		return err
	}
	if !t.private {
		// Without it a crash of the machine can leave an empty file under the
		// new name: file systems write names before they write content.
		if err := temp.Sync(); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
	}
	if err := temp.Close(); err != nil { // NFS says only here that the disk is full
		return err
	}
	if !t.private {
		if err := unchanged(path, old, info); err != nil {
			return err
		}
	}
	move := renameOver
	if t.rename != nil {
		move = t.rename
	}
	err = move(temp.Name(), path)
	// An NFS server may have done it and its answer been lost: asked again, it
	// does not find the file.
	if errors.Is(err, fs.ErrNotExist) {
		if now, _, rerr := readRegular(path); rerr == nil && now != nil && bytes.Equal(now, content) {
			err = nil
		}
	}
	renamed = err == nil
	return err
}

// unchanged returns errRaced if the file is not what it was when it was read.
func unchanged(path string, old []byte, info fs.FileInfo) error {
	now, nowInfo, err := readRegular(path)
	if err != nil {
		return err
	}
	if (info == nil) != (nowInfo == nil) || !bytes.Equal(now, old) {
		return errRaced
	}
	return nil
}

// dress gives the new file the mode, owner, ACL and a later time than the one
// it replaces.
func (t Target) dress(temp *os.File, path string, info fs.FileInfo) error {
	if info == nil {
		if t.Owner != nil && runtime.GOOS != "windows" {
			if err := temp.Chown(t.Owner.UID, t.Owner.GID); err != nil {
				return err
			}
		}
		return temp.Chmod(t.Perm)
	}
	if err := keepOwner(temp, path, info); err != nil {
		return &ownerError{err}
	}
	// After the owner: changing that clears the set-id bits.
	if err := temp.Chmod(info.Mode()); err != nil {
		return err
	}
	made, err := temp.Stat()
	if err != nil {
		return err
	}
	if last := info.ModTime(); !made.ModTime().After(last) {
		// A second that Java and others with a coarse clock can tell apart.
		return os.Chtimes(temp.Name(), time.Time{}, last.Truncate(time.Second).Add(time.Second))
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
	return errors.As(err, &owner) || cannotRename(err)
}

// Names of our own beside a file, for strays to be told from others' files.
func besidePrefix(path string) string { return "." + filepath.Base(path) + ".brs-exec-" }

const tempSuffix = ".tmp"

func createTemp(path string) (*os.File, error) {
	return os.OpenFile(filepath.Join(filepath.Dir(path), besidePrefix(path)+randomName()+tempSuffix),
		os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

func randomName() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// removeStrays removes the temporary files of writers that were killed. The
// caller holds the lock, so there are no others.
func removeStrays(path string) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return
	}
	for _, name := range names {
		if strings.HasPrefix(name, besidePrefix(path)) && strings.HasSuffix(name, tempSuffix) {
			os.Remove(filepath.Join(filepath.Dir(path), name)) // the next one tries again
		}
	}
}
