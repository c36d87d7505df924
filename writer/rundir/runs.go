package rundir

import (
	"io"
	"os"
	"path/filepath"
	"slices"

	"brs-exec/writer/pathsafe"
)

// StatusFile is for people: no client reads it. It must hold no secret.
const StatusFile = "status"

// maxStatus is more than any status has.
const maxStatus = 64 << 10

// Run is a brs-exec that runs, seen from outside.
type Run struct {
	PID    int    // in the process id namespace of that brs-exec
	Dir    string // its run directory
	Status []byte // its StatusFile; nil if it has none yet, or nothing that can be read
}

// Runs returns this user's running brs-exec processes by PID: those whose run
// directories are in these directories or, if dirs is nil, where one that starts now
// would make its own, here or in a login shell. (A $XDG_RUNTIME_DIR or $TMPDIR of
// another kind than here is not known.)
func Runs(dirs []string) []Run { return runsIn(basesFor(dirs)) }

func runsIn(bases []base) (runs []Run) {
	for _, in := range allPlaces(bases) {
		root, err := os.OpenRoot(in.path)
		if err != nil {
			continue
		}
		names, _ := pathsafe.Names(root)
		for _, name := range names {
			if run, ok := lookAt(root, name); ok {
				run.Dir = filepath.Join(in.path, name)
				runs = append(runs, run)
			}
		}
		root.Close()
	}
	slices.SortFunc(runs, func(a, b Run) int { return a.PID - b.PID })
	return runs
}

// lookAt takes what is of this user alone, and else nothing.
func lookAt(in *os.Root, name string) (run Run, ok bool) {
	info, err := in.Lstat(name)
	if !isRunName(name) || err != nil || !info.IsDir() || !ours(info) {
		return run, false
	}
	dir, err := in.OpenRoot(name)
	if err != nil {
		return run, false
	}
	defer dir.Close()
	if run.PID, ok, err = owner(dir); err != nil || !ok || run.PID == 0 {
		return run, false
	}
	if f, err := pathsafe.OpenOwn(dir, StatusFile, os.O_RDONLY, os.Geteuid()); err == nil {
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxStatus+1))
		if err == nil && len(text) <= maxStatus {
			run.Status = text
		}
	}
	return run, true
}
