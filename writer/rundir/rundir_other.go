//go:build !linux

package rundir

import "time"

// inUse cannot be told here: the command of a brs-exec that was killed keeps its
// credentials until another brs-exec sweeps.
func inUse(string, int, time.Duration) bool { return false }

// Users would list the processes that were given the run directory.
func (d *Dir) Users(int, time.Duration) []string { return nil }

// inMemory takes the system's word: where there is a /run, it is for that.
func inMemory(string) bool { return true }

// userOf is of no use here: only one user's runs are found.
func userOf(int) (uid int, ok bool) { return 0, false }
