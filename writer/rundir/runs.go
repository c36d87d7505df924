package rundir

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// Run is a brs-exec that runs, seen from outside.
type Run struct {
	PID int    // in the process id namespace of that brs-exec
	UID int    // whose it is; -1 where users have no numbers
	Dir string // its run directory
}

// Runs returns this user's running brs-exec processes by PID: those whose run
// directories are in these directories or, if dirs is nil, where one that starts now
// would make its own, here or in a login shell. (A $XDG_RUNTIME_DIR or $TMPDIR of
// another kind than here is not known.)
func Runs(dirs []string) []Run { return runsIn(basesFor(dirs)) }

func runsIn(bases []base) (runs []Run) {
	for _, in := range allPlaces(bases) {
		runs = append(runs, runsOf(in.path, self())...)
	}
	slices.SortFunc(runs, byPID)
	return runs
}

func byPID(a, b Run) int { return a.PID - b.PID }

// self is this user, as [Run] has it.
func self() int {
	if runtime.GOOS == "windows" {
		return -1
	}
	return os.Geteuid()
}

// runsOf are the runs of a user in a place of that user's.
func runsOf(place string, uid int) (runs []Run) {
	root, err := os.OpenRoot(place)
	if err != nil {
		return nil
	}
	defer root.Close()
	if info, err := root.Stat("."); err != nil || !believed(info, uid) {
		return nil // it was exchanged
	}
	names, _ := pathsafe.Names(root)
	for _, name := range names {
		if uid != self() && len(runs) == maxOthers {
			break
		}
		if pid, ok := lookAt(root, name, uid); ok {
			runs = append(runs, Run{PID: pid, UID: uid, Dir: filepath.Join(place, name)})
		}
	}
	return runs
}

// maxOthers is how many runs of another user are looked at: more than a machine has, and
// not all that somebody can make up.
const maxOthers = 200

// believed tells a place whose names only its user, or root, can have made.
func believed(info os.FileInfo, uid int) bool {
	return alone(info, uid) || uid == self() && !pathsafe.OthersWrite(info)
}

// lookAt takes what is of that user alone, and else nothing.
func lookAt(in *os.Root, name string, uid int) (pid int, ok bool) {
	info, err := in.Lstat(name)
	if !isRunName(name) || err != nil || !info.IsDir() || !alone(info, uid) {
		return 0, false
	}
	dir, err := in.OpenRoot(name)
	if err != nil {
		return 0, false
	}
	defer dir.Close()
	if is, err := dir.Stat("."); err != nil || !os.SameFile(info, is) {
		return 0, false
	}
	pid, ok, err = owner(dir, uid)
	return pid, ok && err == nil && pid != 0
}

// OthersRuns returns the running brs-exec processes of other users, to root on Linux and to
// nobody else: of those whose run directories are where they are by default
// (/run/user/UID, and below /dev/shm, /tmp and these directories). What is in such a
// directory only its user can have made, so that nobody makes a run of another user.
func OthersRuns(dirs []string) (runs []Run) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return nil
	}
	for _, name := range namesIn("/run/user") {
		runs = append(runs, othersRuns(filepath.Join("/run/user", name), name)...)
	}
	for _, in := range append(dirs, "/dev/shm", "/tmp") {
		for _, name := range namesIn(in) {
			if rest, ok := strings.CutPrefix(name, runPrefix); ok {
				uid, random, more := strings.Cut(rest, "-")
				if !more || isRandom(random) {
					runs = append(runs, othersRuns(filepath.Join(in, name), uid)...)
				}
			}
		}
	}
	slices.SortFunc(runs, byPID)
	return slices.CompactFunc(runs, func(a, b Run) bool { return a.Dir == b.Dir })
}

func namesIn(dir string) []string {
	names, _ := readNames(dir)
	slices.Sort(names)
	return names
}

// othersRuns are those in a place that should be of the user with this number.
func othersRuns(place, number string) []Run {
	uid, err := strconv.Atoi(number)
	if err != nil || uid == 0 || strconv.Itoa(uid) != number {
		return nil
	}
	info, err := os.Lstat(place)
	if err != nil || !info.IsDir() || !alone(info, uid) {
		return nil
	}
	return slices.DeleteFunc(runsOf(place, uid), func(r Run) bool {
		// A process id of another namespace is nobody's here, or somebody else's.
		is, ok := userOf(r.PID)
		return ok && is != uid
	})
}
