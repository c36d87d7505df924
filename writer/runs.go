package writer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// statusFile is for people: no client reads it.
const statusFile = "status"

// WriteStatus puts text about this run, which must hold no secret, into the run
// directory, where [Runs] finds it. It changes in one step.
func (p *Private) WriteStatus(text []byte) error {
	if _, err := writePrivate(filepath.Join(p.Dir(), statusFile), text); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// Run is a brs-exec that runs, seen from outside.
type Run struct {
	PID    int    // in the process id namespace of that brs-exec
	Dir    string // its run directory
	Status []byte // what it last gave to WriteStatus; nil if nothing yet
}

// Runs returns this user's running brs-exec processes by PID: those whose run
// directories are where one that starts now, with the same environment, would
// make its own.
func Runs() []Run { return runsIn(defaultBases(os.Getenv)) }

func runsIn(bases []base) (runs []Run) {
	var seen []string
	for _, b := range bases {
		if b.check(false) != nil || slices.Contains(seen, filepath.Clean(b.path)) {
			continue
		}
		seen = append(seen, filepath.Clean(b.path))
		names, _ := readNames(b.path)
		for _, name := range names {
			path := filepath.Join(b.path, name)
			info, err := os.Lstat(path)
			if !isRunName(name) || err != nil || !info.IsDir() || !ours(info) {
				continue
			}
			if pid, ok := owner(path); ok {
				status, _ := os.ReadFile(filepath.Join(path, statusFile))
				runs = append(runs, Run{PID: pid, Dir: path, Status: status})
			}
		}
	}
	slices.SortFunc(runs, func(a, b Run) int { return a.PID - b.PID })
	return runs
}

// owner returns the process that a run directory belongs to, if it lives.
func owner(dir string) (pid int, ok bool) {
	lock, err := os.OpenFile(filepath.Join(dir, lockedFile), os.O_RDWR|noFollow, 0)
	if err != nil {
		return 0, false
	}
	defer lock.Close()
	err = tryLock(lock)
	held := errors.Is(err, errLocked)
	if err != nil && !held && !errors.Is(err, errNoLocks) {
		return 0, false
	}
	text, start := new(strings.Builder), 0
	if _, err := io.Copy(text, io.LimitReader(lock, 100)); err != nil {
		return 0, false
	}
	if n, _ := fmt.Sscanf(text.String(), "%d %d\n", &pid, &start); n != 2 {
		return 0, false
	}
	return pid, held || alive(pid, start)
}
