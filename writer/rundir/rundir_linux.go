package rundir

import (
	"bytes"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// inUse tells whether a process that we may look at was given the run
// directory in its environment: the command of a brs-exec that was killed
// lives on, and so do the credentials that it was given. first and ago are as of
// [Dir.Users], or 0.
func inUse(dir string, first int, ago time.Duration) bool {
	for range users(dir, first, ago) {
		return true
	}
	return false
}

// Users lists the processes that were given the run directory in their environment, as
// far as we may look: PID and name. The process first was given it that long ago, and no
// other one before.
func (d *Dir) Users(first int, ago time.Duration) (found []string) {
	for pid := range users(d.path, first, ago) {
		name, _ := readProc(nil, pid, "comm")
		found = append(found, pid+" ("+string(bytes.TrimSuffix(name, []byte("\n")))+")")
	}
	return found
}

// users are the processes that were given a run directory.
func users(dir string, first int, ago time.Duration) iter.Seq[string] {
	needle := []byte("=" + filepath.Join(dir, ConfigFile) + "\x00")
	return func(yield func(string) bool) {
		var environ []byte
		last := lastPID()
		for _, pid := range processes(lookAbove(first, last, ago), last) {
			var err error
			environ, err = readProc(environ, pid, "environ")
			if err == nil && bytes.Contains(environ, needle) && !isThread(pid) && !yield(pid) {
				return
			}
		}
	}
}

// lookAbove returns the id above which the processes are that were made since the process
// first was, that long ago: 0 for all. For a moment they have higher ids, which saves a look
// at those of the whole machine; later, or once the ids have wrapped around, they may have any.
func lookAbove(first, last int, ago time.Duration) int {
	if ago > time.Second || last < first {
		return 0
	}
	return first
}

// lastPID returns the id of the process that was made last, 0 if that is not known.
func lastPID() (pid int) {
	text, _ := readProc(nil, "loadavg")
	if fields := bytes.Fields(text); len(fields) == 5 {
		pid, _ = strconv.Atoi(string(fields[4]))
	}
	return pid
}

// fewProcesses is up to how many ids are tried one by one: that takes as long where thousands
// of processes are.
const fewProcesses = 100

// processes are the ids above the given one; there may be none of some, and some may be those
// of threads. last is the highest one, if above is known.
func processes(above, last int) (ids []string) {
	if above > 0 && !ownProc() {
		above = 0 // which is an id of ours, and tells nothing of those
	}
	if above > 0 && above <= last && last-above <= fewProcesses {
		for id := above + 1; id <= last; id++ {
			ids = append(ids, strconv.Itoa(id))
		}
		return ids
	}
	names, _ := readNames("/proc")
	for _, name := range names {
		if id, err := strconv.Atoi(name); err == nil && id > above {
			ids = append(ids, name)
		}
	}
	return ids
}

// ownProc tells whether the ids in /proc are those that we have: it can be that of another
// process id namespace.
func ownProc() bool {
	self, err := os.Readlink("/proc/self")
	return err == nil && self == strconv.Itoa(os.Getpid())
}

// isThread tells whether an id is that of a thread, which /proc does not list, but has.
func isThread(id string) bool {
	status, _ := readProc(nil, id, "status")
	return statusField(status, "Tgid:") != id
}

// readProc reads a file of /proc into the space of buf. [os.ReadFile] makes more than twice as
// many system calls, which count where there is one for each process.
func readProc(buf []byte, path ...string) ([]byte, error) {
	fd, err := syscall.Open("/proc/"+strings.Join(path, "/"), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return buf, err
	}
	defer syscall.Close(fd)
	for buf = buf[:0]; ; {
		buf = slices.Grow(buf, 512)
		n, err := syscall.Read(fd, buf[len(buf):cap(buf)])
		if err != nil || n <= 0 {
			return buf, err
		}
		buf = buf[:len(buf)+n]
	}
}

// inMemory tells whether a directory is on a file system that reaches no disk.
func inMemory(dir string) bool {
	const tmpfs, ramfs = 0x01021994, 0x858458f6 // statfs(2)
	var st syscall.Statfs_t
	return syscall.Statfs(dir, &st) == nil && (int64(st.Type) == tmpfs || int64(st.Type) == ramfs)
}

// userOf returns as whom a process acts, false if there is no such process here.
func userOf(pid int) (uid int, ok bool) {
	status, err := readProc(nil, strconv.Itoa(pid), "status")
	if err != nil {
		return 0, false
	}
	uid, err = strconv.Atoi(statusField(status, "Uid:"))
	return uid, err == nil
}

// statusField returns the field of a line in proc(5)'s status that says what counts now.
func statusField(status []byte, key string) string {
	for line := range bytes.Lines(status) {
		fields := bytes.Fields(line)
		switch {
		case len(fields) == 2 && string(fields[0]) == key:
			return string(fields[1])
		case len(fields) > 2 && string(fields[0]) == key:
			return string(fields[2]) // real, effective, …
		}
	}
	return ""
}
