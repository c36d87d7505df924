//go:build unix

package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// publish gives the directory its name. The lock goes with it.
func (d *Dir) publish() error {
	err := renameNew(d.making, d.path)
	if err == nil {
		d.making = ""
	}
	return err
}

func mayWrite(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

// resolveDir returns path without links, and what it is. It fails if on the way
// there is a link that another user can turn, or a directory in which one can
// rename the next.
func resolveDir(path string) (string, fs.FileInfo, error) {
	done, todo := "/", strings.Split(path, "/")
	info, err := os.Lstat(done)
	for links := 0; err == nil && len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			done = filepath.Dir(done)
			info, err = os.Lstat(done)
			continue
		}
		if err := passable(done, info); err != nil {
			return "", nil, err
		}
		next := filepath.Join(done, name)
		if info, err = os.Lstat(next); err != nil {
			break
		}
		switch {
		case info.IsDir():
			done = next
		case info.Mode()&fs.ModeSymlink == 0:
			return "", nil, errors.New("not a directory")
		case links == pathsafe.MaxLinks:
			return "", nil, syscall.ELOOP
		default:
			if uid := pathsafe.UID(info); uid != os.Geteuid() && pathsafe.Foreign(uid) {
				return "", nil, fmt.Errorf("the link %s is owned by uid %d, not by us or root", next, uid)
			}
			links++
			target, err := os.Readlink(next)
			if err != nil {
				return "", nil, err
			}
			if filepath.IsAbs(target) {
				done = "/"
			}
			todo = append(strings.Split(target, "/"), todo...)
			if info, err = os.Lstat(done); err != nil {
				return "", nil, err
			}
		}
	}
	return done, info, err
}

// passable says why others could exchange what is in a directory on the way.
func passable(path string, info fs.FileInfo) error {
	uid := pathsafe.UID(info)
	switch {
	case uid != os.Geteuid() && pathsafe.Foreign(uid):
		return fmt.Errorf("%s is owned by uid %d, not by us or root", path, uid)
	case pathsafe.OthersWrite(info) && info.Mode()&fs.ModeSticky == 0:
		return fmt.Errorf("others can write to %s and it has no sticky bit (mode %04o)", path, info.Mode().Perm())
	}
	return nil
}

// Alone says why a directory is not this user's alone.
func Alone(info fs.FileInfo) error {
	if !ours(info) {
		return fmt.Errorf("owned by uid %d with mode %04o: must be ours and 0700", pathsafe.UID(info), info.Mode().Perm())
	}
	return nil
}

// trusted says why the owner or the mode of a base directory let others move
// what is in it.
func trusted(info fs.FileInfo) error {
	uid, me := pathsafe.UID(info), os.Geteuid()
	sticky := info.Mode()&fs.ModeSticky != 0
	switch {
	case uid != me && uid != 0 && (uid != pathsafe.OverflowUID || !sticky):
		return fmt.Errorf("owned by uid %d, not by us or root", uid)
	case pathsafe.OthersWrite(info) && !sticky:
		return fmt.Errorf("others can write to it and it has no sticky bit (mode %04o)", info.Mode().Perm())
	}
	return nil
}

func mine(info fs.FileInfo) bool { return pathsafe.UID(info) == os.Geteuid() }

// ours tells a directory of this user, that nobody else could change.
func ours(info fs.FileInfo) bool { return alone(info, os.Geteuid()) }

// alone tells a directory that nobody but this user could change.
func alone(info fs.FileInfo, uid int) bool {
	return pathsafe.UID(info) == uid && info.Mode().Perm()&0o077 == 0
}
