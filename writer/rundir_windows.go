package writer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"brs-exec/writer/filelock"
)

// moveTo gives the directory its name. A directory that is open, or with an open
// file in it, cannot be renamed here, so there is a moment without the lock; the
// sweeper's look at the process id covers it.
func (d *runDir) moveTo(final string) error {
	if err := errors.Join(d.lock.Close(), d.root.Close()); err != nil {
		return err
	}
	err := os.Rename(d.path, final)
	if err == nil {
		d.path = final
	}
	root, oerr := os.OpenRoot(d.path)
	if oerr != nil {
		return errors.Join(err, oerr)
	}
	d.root = root
	if err != nil {
		return err
	}
	if d.lock, err = root.OpenFile(lockedFile, os.O_RDWR, 0); err != nil {
		return err
	}
	return filelock.Try(d.lock)
}

func resolveDir(path string) (string, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	return filepath.Clean(path), info, err
}

// The temporary directory is the user's own here.
func trusted(fs.FileInfo, bool) error { return nil }
func mine(fs.FileInfo) bool           { return true }
func ours(fs.FileInfo) bool           { return true }
