package writer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// lockTimeout bounds the wait for another writer, which holds the lock for
// milliseconds unless it is stopped or its disk hangs. The kernel takes the
// lock from one that dies.
const lockTimeout = 10 * time.Second

// errLocked: another open file holds the lock. errNoLocks: the file system has
// none.
var (
	errLocked  = errors.New("locked")
	errNoLocks = errors.New("no locks on this file system")
)

// lockFile takes the exclusive lock of an open file, waiting for it. On a file
// system without locks it does nothing.
func lockFile(f *os.File) (unlock func(), err error) {
	deadline := time.Now().Add(lockTimeout)
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		err := tryLock(f)
		switch {
		case err == nil:
			return func() { unlockFile(f) }, nil
		case errors.Is(err, errNoLocks):
			return func() {}, nil
		case !errors.Is(err, errLocked):
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		case time.Now().After(deadline):
			return nil, fmt.Errorf("lock %s: another process holds it for more than %s", f.Name(), lockTimeout)
		}
		time.Sleep(wait)
	}
}

// lockBeside takes the lock that all writers of the file at path take: that of
// a sentinel beside it, which exists only as long. Where none can be made (the
// directory is read-only, so that nobody renames in it) it is that of the
// directory.
func lockBeside(path string) (unlock func(), err error) {
	sentinel := filepath.Join(filepath.Dir(path), besidePrefix(path)+"lock")
	for {
		f, err := os.OpenFile(sentinel, os.O_RDWR|os.O_CREATE|noFollow, 0o644)
		if errors.Is(err, fs.ErrPermission) { // perhaps another user's, at this moment
			f, err = os.OpenFile(sentinel, os.O_RDONLY|noFollow, 0)
			if err != nil {
				return lockDir(filepath.Dir(path), fs.ErrPermission)
			}
		}
		if err != nil {
			return lockDir(filepath.Dir(path), err)
		}
		unlock, err := lockFile(f)
		if err != nil {
			f.Close()
			return nil, err
		}
		// The one before us may have removed it after we opened it: then what
		// we have locked is not what the next one locks.
		if stillThere(f, sentinel) {
			return func() { removeSentinel(sentinel); unlock(); f.Close() }, nil
		}
		unlock()
		f.Close()
	}
}

func lockDir(dir string, cause error) (unlock func(), err error) {
	if !errors.Is(cause, fs.ErrPermission) && !cannotRename(cause) {
		return nil, fmt.Errorf("lock: %w", cause)
	}
	f, err := os.Open(dir)
	if err != nil { // a directory that can only be passed through
		return func() {}, nil
	}
	release, err := lockFile(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { release(); f.Close() }, nil
}

func stillThere(f *os.File, name string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(name)
	return err == nil && os.SameFile(held, named)
}
