package rundir

import (
	"bytes"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// inUse tells whether a process that we may look at was given the run
// directory in its environment: the command of a brs-exec that was killed
// lives on, and so do the credentials that it was given.
func inUse(dir string) bool {
	for range users(dir, 0) {
		return true
	}
	return false
}

// Users lists the processes with an id above the given one that were given the
// run directory in their environment, as far as we may look: PID and name.
func (d *Dir) Users(above int) (found []string) {
	for pid := range users(d.path, above) {
		name, _ := os.ReadFile("/proc/" + pid + "/comm")
		found = append(found, pid+" ("+strings.TrimSuffix(string(name), "\n")+")")
	}
	return found
}

func users(dir string, above int) iter.Seq[string] {
	needle := []byte("=" + filepath.Join(dir, ConfigFile) + "\x00")
	return func(yield func(string) bool) {
		names, _ := readNames("/proc")
		for _, name := range names {
			if pid, err := strconv.Atoi(name); err != nil || pid <= above {
				continue
			}
			if data, err := os.ReadFile("/proc/" + name + "/environ"); err == nil && bytes.Contains(data, needle) && !yield(name) {
				return
			}
		}
	}
}

func accessTime(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Atim.Unix())
	}
	return time.Time{}
}

// inMemory tells whether a directory is on a file system that reaches no disk.
func inMemory(dir string) bool {
	const tmpfs, ramfs = 0x01021994, 0x858458f6 // statfs(2)
	var st syscall.Statfs_t
	return syscall.Statfs(dir, &st) == nil && (int64(st.Type) == tmpfs || int64(st.Type) == ramfs)
}

// userOf returns as whom a process acts, false if there is no such process here.
func userOf(pid int) (uid int, ok bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "Uid:" {
			uid, err := strconv.Atoi(fields[2])
			return uid, err == nil
		}
	}
	return 0, false
}
