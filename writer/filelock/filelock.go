// Package filelock takes the exclusive lock of an open file, as all processes of
// this machine see it: flock(2), or LockFileEx on Windows. The end of the process,
// or of its last descriptor of the file, gives the lock up.
//
// It locks files, not paths: its callers open them below a directory that they hold,
// where a name may be turned against them. (A lock by path, such as that of
// github.com/gofrs/flock, would open the name once more, and takes a file system
// without locks for a failure.)
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

var (
	// ErrLocked: another open file holds the lock, here or in another process.
	ErrLocked = errors.New("held by another process")
	// ErrNoLocks: the file system has no locks (NFS without lockd, some FUSE ones),
	// or none for a directory.
	ErrNoLocks = errors.New("no locks on this file system")
)

// maxPoll is the most by which a waiting process is late for the lock.
const maxPoll = 50 * time.Millisecond

// Take takes the lock of f, and waits for it until ctx ends. On a file system
// without locks it takes none, and returns nil.
func Take(ctx context.Context, f *os.File) error {
	for wait := time.Millisecond; ; wait = min(2*wait, maxPoll) {
		err := Try(f)
		switch {
		case err == nil, errors.Is(err, ErrNoLocks):
			return nil
		case !errors.Is(err, ErrLocked):
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("lock %s: %w (%w)", f.Name(), err, context.Cause(ctx))
		}
	}
}

// IsNamed tells whether name in dir is still f. Whoever locks a file that the holder
// of its lock may [Remove] must ask, once the lock is taken: the next process would
// lock another file of that name.
func IsNamed(f *os.File, dir *os.Root, name string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := dir.Lstat(name)
	return err == nil && os.SameFile(held, named)
}
