package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrLocked is what [Lock] returns if another process holds the lock.
var ErrLocked = errors.New("held by another process")

// Lock takes the lock of that name, without waiting, so that runs of the same
// job don't overlap. It is held until the file is closed or this process ends;
// the command does not hold it.
//
// A name with a slash is the path of the lock file. Any other is one per user
// and machine, wherever it is taken from (a login, cron): a file in a directory
// of the user's in the first of /run/lock, /var/lock, /dev/shm, /tmp or the
// system's temporary directory that is writable.
func Lock(name string) (*os.File, error) {
	path := name
	if !strings.ContainsRune(name, filepath.Separator) {
		if name == "" || name == "." || name == ".." {
			return nil, fmt.Errorf("lock %q: not a name", name)
		}
		dir, err := lockDir()
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		path = filepath.Join(dir, name+".lock")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if err := tryLock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}

// lockDir makes the user's directory. The places do not depend on the
// environment, which differs between a login and cron.
func lockDir() (string, error) {
	var first error
	for _, parent := range append(lockParents, os.TempDir()) {
		dir := filepath.Join(parent, fmt.Sprintf("brs-exec-%d", os.Getuid()))
		err := os.Mkdir(dir, 0o700)
		if errors.Is(err, os.ErrExist) {
			err = private(dir)
		}
		if err == nil {
			return dir, nil
		}
		if first == nil && !errors.Is(err, os.ErrNotExist) {
			first = err
		}
	}
	return "", first
}
