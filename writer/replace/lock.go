package replace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"brs-exec.example/brs-exec/writer/filelock"
	"brs-exec.example/brs-exec/writer/pathsafe"
)

// lockTimeout bounds the wait for another writer, which holds the lock for
// milliseconds unless it is stopped or its disk hangs. The kernel takes the
// lock from one that dies.
const lockTimeout = 10 * time.Second

func boundWait(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, lockTimeout, fmt.Errorf("waited %s", lockTimeout))
}

// lockOpen takes the lock of an open file, if its file system has any.
func lockOpen(ctx context.Context, f *os.File) (unlock func(), err error) {
	ctx, cancel := boundWait(ctx)
	defer cancel()
	if err := filelock.Take(ctx, f); err != nil {
		return nil, err
	}
	return func() { filelock.Release(f) }, nil
}

// Lock takes the lock that all writers of the file take: that of a sentinel
// beside it, which exists only as long. Where none can be made (the directory is
// read-only, so that nobody renames in it) it is that of the directory. The
// sentinel may be another user's, who writes to the file as well.
func (p *Location) Lock(ctx context.Context) (unlock func(), err error) {
	name := BesidePrefix(p.name) + "lock"
	ctx, cancel := boundWait(ctx)
	defer cancel()
	for first := true; first || ctx.Err() == nil; first = false {
		f, err := p.sentinel(name)
		switch {
		case errors.Is(err, pathsafe.ErrRaced):
			continue
		case err != nil:
			return p.lockDir(ctx, err)
		}
		unlock, err := lockOpen(ctx, f)
		if err != nil {
			f.Close()
			return nil, err
		}
		// The one before us may have removed it after we opened it: then what
		// we have locked is not what the next one locks.
		if filelock.IsNamed(f, p.dir, name) {
			return func() { filelock.Remove(p.dir, name); unlock(); f.Close() }, nil
		}
		unlock()
		f.Close()
	}
	// Others were faster each time.
	return nil, fmt.Errorf("lock %s: %w (%w)", filepath.Join(p.dir.Name(), name), filelock.ErrLocked, context.Cause(ctx))
}

// sentinel makes the file, or opens the one that is there.
func (p *Location) sentinel(name string) (*os.File, error) {
	f, err := p.dir.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	f, _, err = pathsafe.OpenRegular(p.dir, name, os.O_RDWR)
	if errors.Is(err, fs.ErrPermission) { // another user's
		f, _, err = pathsafe.OpenRegular(p.dir, name, os.O_RDONLY)
	}
	if errors.Is(err, fs.ErrNotExist) { // removed since
		err = pathsafe.ErrRaced
	}
	return f, err
}

func (p *Location) lockDir(ctx context.Context, cause error) (unlock func(), err error) {
	if !errors.Is(cause, fs.ErrPermission) && !errors.Is(cause, pathsafe.ErrNotRegular) && !CannotRename(cause) {
		return nil, fmt.Errorf("lock: %w", cause)
	}
	f, err := p.dir.Open(".")
	if err != nil {
		return nil, err
	}
	release, err := lockOpen(ctx, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { release(); f.Close() }, nil
}
