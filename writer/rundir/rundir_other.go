//go:build !linux

package rundir

import (
	"io/fs"
	"time"
)

// inUse cannot be told here: the command of a brs-exec that was killed keeps its
// credentials until another brs-exec sweeps.
func inUse(string) bool { return false }

// Users would list the processes that were given the run directory.
func (d *Dir) Users(int) []string { return nil }

func accessTime(fs.FileInfo) time.Time { return time.Time{} }

// inMemory takes the system's word: where there is a /run, it is for that.
func inMemory(string) bool { return true }

// userOf is of no use here: only one user's runs are found.
func userOf(int) (uid int, ok bool) { return 0, false }
