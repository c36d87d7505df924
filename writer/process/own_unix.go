//go:build unix

package process

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

func uid(info os.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

func sameOwner(a, b os.FileInfo) bool { return uid(a) == uid(b) }

// trusted says why a run directory is not to be believed. Root may be led to
// another user's (by sudo -E, or in a container that it is mounted in), but not
// where that user has taken the place of the one that was meant: a directory that
// others could make is below one that is named after its owner.
func trusted(dir string, info os.FileInfo) error {
	owner, me := uid(info), os.Geteuid()
	if owner == me {
		return nil
	}
	// Not path/filepath, on which the package early would have to wait.
	above, _ := cutLast(strings.TrimRight(dir, "/"))
	_, parent := cutLast(strings.TrimRight(above, "/"))
	parent, ok := strings.CutPrefix(parent, "brs-exec-")
	meant, _, _ := strings.Cut(parent, "-")
	if me == 0 && (!ok || meant == strconv.Itoa(owner)) {
		return nil
	}
	return errors.New(dir + " is owned by uid " + strconv.Itoa(owner) + ", not by us (uid " + strconv.Itoa(me) + ")")
}

func cutLast(path string) (dir, base string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}
