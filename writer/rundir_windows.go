package writer

import (
	"io/fs"
	"os"
)

// moveTo gives the directory its name. A directory with an open file in it
// cannot be renamed here, so there is a moment without the lock; the sweeper's
// look at the process id covers it.
func (d *runDir) moveTo(final string) error {
	if err := d.lock.Close(); err != nil {
		return err
	}
	if err := os.Rename(d.path, final); err != nil {
		return err
	}
	d.path = final
	lock, err := os.OpenFile(final+`\`+lockedFile, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	d.lock = lock
	return tryLock(lock)
}

// trusted and ours do not look: the temporary directory is the user's own here.
func trusted(fs.FileInfo, bool) error { return nil }
func ours(fs.FileInfo) bool           { return true }
