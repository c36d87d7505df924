package source

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

const lockPoll = 50 * time.Millisecond

// userDirs are the directories of this user; "" is one that is not known.
type userDirs struct{ home, caches, runtime string }

// lockShared takes the lock of a file of that name that all processes of this user
// have in common, and waits for its turn. Closing the file gives it back. Without
// a directory for it there is none, and nil is returned. The error is that of ctx.
func (u userDirs) lockShared(ctx context.Context, name string) (*os.File, error) {
	file := u.openShared(name)
	if file == nil {
		return nil, nil
	}
	for {
		if locked, err := tryLock(file); locked || err != nil {
			return file, nil // a file system without locks has to do
		}
		wait := time.NewTimer(lockPoll)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			file.Close()
			return nil, ctx.Err()
		}
	}
}

func (u userDirs) openShared(name string) *os.File {
	for _, dir := range u.shared() {
		if u.makeDir(dir) != nil {
			continue
		}
		if file, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o600); err == nil {
			return file
		}
	}
	return nil
}

// makeDir makes a directory with those above it, but no home: one that is not there
// (Debian's /nonexistent) is not meant to be.
func (u userDirs) makeDir(dir string) error {
	if _, err := os.Stat(u.home); u.home != "" && err != nil {
		if below, err := filepath.Rel(u.home, dir); err == nil && filepath.IsLocal(below) {
			return fmt.Errorf("there is no home %s: %w", u.home, fs.ErrNotExist)
		}
	}
	return os.MkdirAll(dir, 0o700)
}

// shared are where the file may be, first the one that a login and cron have in
// common. A directory that all may write to is none of them.
func (u userDirs) shared() []string {
	var dirs []string
	if u.caches != "" {
		dirs = append(dirs, filepath.Join(u.caches, "brs-exec"))
	}
	if u.runtime != "" && runtime.GOOS == "linux" {
		dirs = append(dirs, filepath.Join(u.runtime, "brs-exec-mfa"))
	}
	return dirs
}
