package rundir

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"brs-exec.example/brs-exec/writer/filelock"
	"brs-exec.example/brs-exec/writer/pathsafe"
	"brs-exec.example/brs-exec/writer/process"
)

// maxSwept is how many of the directories in a place one sweep looks at. Where a
// thousand runs live, each of them would look at a thousand.
const maxSwept = 16

// Sweep removes what brs-exec processes of this user that were killed have left in
// these directories; see [Make]. Where there are many it looks at some of them, which
// ones is chance. It is not urgent, and takes time for each run that lives and each
// name in a directory that others write to: it belongs behind the start of the command.
func Sweep(dirs []string) {
	for _, in := range allPlaces(basesFor(dirs)) {
		sweep(in, rand.IntN)
	}
}

// sweep removes the stale run directories of a place. What cannot be removed
// stays for the next time. intN returns a number from 0 up to n-1.
func sweep(in place, intN func(n int) int) {
	root, err := os.OpenRoot(in.path)
	if err != nil {
		return
	}
	defer root.Close()
	dir, err := root.Open(".")
	if err != nil {
		return
	}
	names := matching(dir, func(name string) bool { return isRunName(strings.TrimPrefix(name, ".")) })
	if n := len(names); n > maxSwept {
		from := intN(n)
		names = append(names, names...)[from : from+maxSwept]
	}
	for _, name := range names {
		info, err := root.Lstat(name)
		if err != nil || !info.IsDir() || !ours(info) {
			continue
		}
		if name[0] == '.' && time.Since(info.ModTime()) < makingTimeout {
			continue
		}
		sweepOne(root, name, in)
	}
}

func sweepOne(root *os.Root, name string, in place) {
	dir, err := root.OpenRoot(name)
	if err != nil {
		return
	}
	defer dir.Close()
	path := filepath.Join(in.path, name)
	_, lives, err := owner(dir, os.Geteuid())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Only its name is still needed, or its removal was cut short at the very
		// end; else it is not empty and stays.
	case err != nil || lives:
		return
	default:
		if _, err := process.Output(path, time.Now()); err == nil && inUse(path, 0, 0) {
			return // until the credentials expire, or the last process that knows the directory ends
		}
		names, _ := pathsafe.Names(dir)
		empty(names, dir.RemoveAll, new(atomic.Uint64))
	}
	if !in.shared || !inUse(path, 0, 0) {
		root.Remove(name)
	}
}

// owner returns the process that a run directory of that user belongs to, and whether it
// lives. One that has not said who it is does not.
func owner(dir *os.Root, uid int) (pid int, lives bool, err error) {
	lock, err := pathsafe.OpenOwn(dir, lockedFile, os.O_RDWR, uid)
	if err != nil {
		return 0, false, err
	}
	defer lock.Close()
	err = filelock.Try(lock)
	held := errors.Is(err, filelock.ErrLocked)
	if err != nil && !held && !errors.Is(err, filelock.ErrNoLocks) {
		return 0, false, err
	}
	text, err := io.ReadAll(io.LimitReader(lock, 100))
	if err != nil {
		return 0, false, err
	}
	if held { // which says more than the process id, and is known already
		return filelock.PID(text), true, nil
	}
	pid, lives = filelock.Holder(text)
	return pid, lives, nil
}
