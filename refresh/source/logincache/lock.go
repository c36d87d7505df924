package logincache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"brs-exec.example/brs-exec/writer/filelock"
)

// User is whose caches of logins they are.
type User struct {
	Home  string   // "" if it is not known; one that is not there is not made
	Locks []string // directories for lock files; the first that can be written to counts
}

// Lock takes the lock of a file of that name that all processes of this user have in
// common, and waits for its turn until ctx ends. Closing the file gives it back. Without a
// directory for it there is none, and nil is returned; a file system without locks has
// to do.
func (u User) Lock(ctx context.Context, name string) (*os.File, error) {
	file := u.open(name)
	if file == nil {
		return nil, nil
	}
	if err := filelock.Take(ctx, file); err != nil && ctx.Err() != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (u User) open(name string) *os.File {
	for _, dir := range u.Locks {
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
func (u User) makeDir(dir string) error {
	if u.Home != "" {
		if _, err := os.Stat(u.Home); err != nil {
			if below, err := filepath.Rel(u.Home, dir); err == nil && filepath.IsLocal(below) {
				return fmt.Errorf("there is no home %s: %w", u.Home, fs.ErrNotExist)
			}
		}
	}
	return os.MkdirAll(dir, 0o700)
}

// renewWait is how long another process may take to renew an entry that this one needs
// as well. One that hangs must not stop all.
const renewWait = 10 * time.Second

// LockEntry takes the turn of this process to replace the entry at path, for as long as
// the file is open. kind is "sso" or "login". Without a file there are no turns.
func (u User) LockEntry(ctx context.Context, kind, path string) (*os.File, error) {
	waiting, cancel := context.WithTimeout(ctx, renewWait)
	defer cancel()
	sum := sha256.Sum256([]byte("brs-exec SSO\x00" + path))
	lock, err := u.Lock(waiting, kind+"-"+hex.EncodeToString(sum[:8]))
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("wait for another process to renew the login: %w", ctx.Err())
	}
	return lock, nil
}
