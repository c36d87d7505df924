// Package runlock keeps runs of the same job from overlapping.
package runlock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"brs-exec.example/brs-exec/writer/filelock"
)

// files are locked until they are closed, or the process ends.
type files []*os.File

func (l files) Close() error {
	var errs []error
	for _, f := range l {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Take takes the lock of that name, without waiting, so that runs of the same
// job don't overlap. This process holds it until it is closed, or the process ends;
// the command does not.
//
// A name with a slash is the path of the lock file. Any other is one per user
// and machine, wherever it is taken from (a login, cron): a file in a directory
// of the user's in each of /run/lock, /var/lock, /dev/shm and /tmp that is writable, or
// in the system's temporary directory. One would do, but in each of them another user can
// have the directory's name for a time.
//
// The error wraps [filelock.ErrLocked] if another process holds the lock.
func Take(name string) (io.Closer, error) {
	paths, err := paths(name, makeOwn)
	if err != nil {
		return nil, err
	}
	var held files
	var first error
	for _, path := range paths {
		f, err := lockFile(path, held)
		if errors.Is(err, filelock.ErrLocked) {
			held.Close()
			return nil, heldBy(name, path)
		}
		if err != nil && first == nil {
			first = err
		}
		if f != nil {
			held = append(held, f)
		}
	}
	if len(held) == 0 {
		return nil, fmt.Errorf("lock %s: %w", name, reason(first))
	}
	return held, nil
}

// Check says why [Take] would fail. It makes nothing, and takes no lock, not even for a moment: a
// run that starts meanwhile would end. Who holds the lock is known on Linux alone.
func Check(name string) error {
	paths, err := paths(name, lookOwn)
	if err != nil {
		return err
	}
	var first error
	usable := 0
	for _, path := range paths {
		if _, held := holder(path); held {
			return heldBy(name, path)
		}
		if err := lookFile(path); err == nil {
			usable++
		} else if first == nil {
			first = err
		}
	}
	if usable == 0 {
		return fmt.Errorf("lock %s: %w", name, reason(first))
	}
	return nil
}

// heldBy is the error about a lock that another process holds.
func heldBy(name, path string) error {
	return fmt.Errorf("lock %s: %w", name, heldError{path})
}

// heldError says who holds the lock of a file, if that can be told.
type heldError struct{ path string }

func (e heldError) Error() string {
	pid, _ := holder(e.path)
	if pid == 0 {
		return filelock.ErrLocked.Error()
	}
	by := "process " + strconv.Itoa(pid)
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil {
		by += " (" + strings.TrimSpace(string(comm)) + ")"
	}
	return "held by " + by
}

func (heldError) Unwrap() error { return filelock.ErrLocked }

// paths are the files of a lock. own makes the user's directory in another, or says why it
// cannot be used.
func paths(name string, own func(parent, dir string) error) ([]string, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		return []string{name}, nil
	}
	if name == "" || name == "." || name == ".." {
		return nil, fmt.Errorf("lock %q: not a name", name)
	}
	dirs, err := lockDirs(own)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	var paths []string
	for _, dir := range dirs {
		paths = append(paths, filepath.Join(dir, name+".lock"))
	}
	return paths, nil
}

// lookFile says why lockFile could not open a file.
func lookFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return mayMake(filepath.Dir(path))
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("is a directory")
	}
	return mayWrite(path)
}

// reason leaves out the path, which has been said.
func reason(err error) error {
	var of *os.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// lockFile locks a file; it returns nil if that is one of those that are held
// already, by another path.
func lockFile(path string, held files) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	for _, other := range held {
		if was, werr := other.Stat(); err == nil && werr == nil && os.SameFile(info, was) {
			return nil, f.Close()
		}
	}
	if err == nil {
		err = filelock.Try(f)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lockDirs makes the user's directories. The places do not depend on the
// environment, which differs between a login and cron, but for the last: that is
// for where there is no other.
func lockDirs(own func(parent, dir string) error) (dirs []string, first error) {
	for _, parent := range append(slices.Clone(lockParents), os.TempDir()) {
		if len(dirs) > 0 && !slices.Contains(lockParents, parent) {
			break
		}
		dir := filepath.Join(parent, fmt.Sprintf("brs-exec-%d", os.Getuid()))
		err := own(parent, dir)
		if err == nil {
			dirs = append(dirs, dir)
			continue
		}
		if first == nil && !errors.Is(err, os.ErrNotExist) {
			first = err
		}
	}
	if len(dirs) > 0 {
		first = nil
	}
	return dirs, first
}

func makeOwn(_, dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, os.ErrExist) {
		err = private(dir)
	}
	return err
}

func lookOwn(parent, dir string) error {
	err := private(dir)
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return mayMake(parent)
}
