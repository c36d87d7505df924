package rundir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"brs-exec.example/brs-exec/writer/filelock"
)

// publish gives the directory its name. A directory that is open, or with an open
// file in it, cannot be renamed here, so there is a moment without the lock; the
// sweeper's look at the process id covers it.
func (d *Dir) publish() error {
	if err := errors.Join(d.lock.Close(), d.held.root.Close()); err != nil {
		return err
	}
	err := renameNew(d.making, d.path)
	if err == nil {
		d.making = ""
	}
	root, oerr := os.OpenRoot(d.at())
	if oerr != nil {
		return errors.Join(err, oerr)
	}
	d.held.root = root
	if err != nil {
		return err
	}
	if d.lock, err = root.OpenFile(lockedFile, os.O_RDWR, 0); err != nil {
		return err
	}
	return filelock.Try(d.lock)
}

// mayWrite cannot be told without a try; the temporary directory is the user's.
func mayWrite(string) error { return nil }

func resolveDir(path string) (string, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	return filepath.Clean(path), info, err
}

// The temporary directory is the user's own here.
func trusted(fs.FileInfo) error { return nil }

// Alone says why a directory is not this user's alone.
func Alone(fs.FileInfo) error { return nil }

func mine(fs.FileInfo) bool { return true }
func ours(fs.FileInfo) bool { return true }

func alone(fs.FileInfo, int) bool { return true }
