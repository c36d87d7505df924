package stage

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"brs-exec/supervisor/job"
)

// startWorker starts this program once more.
func startWorker() (*job.Job, error) {
	spec := job.Spec{Follower: true, Argv: os.Args, Env: append(syscall.Environ(), marker+"="+asWorker)}
	var first error
	for _, path := range ownPaths() {
		spec.Path = path
		j, err := job.Start(spec)
		if err == nil {
			return j, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// ownPaths are where this program may be found, best first. The path it was
// executed by is known without /proc, and shows in ps.
func ownPaths() []string {
	var paths []string
	if path := executedAs(); path != "" {
		paths = append(paths, path)
	}
	return append(paths, "/proc/self/exe", os.Args[0])
}

//go:linkname getAuxv runtime.getAuxv
func getAuxv() []uintptr

// executedAs returns the path that execve was called with, from the auxiliary
// vector (getauxval(3), AT_EXECFN).
func executedAs() string {
	const atExecfn = 31
	auxv := getAuxv()
	for i := 0; i+1 < len(auxv); i += 2 {
		if auxv[i] == atExecfn {
			return goString(auxv[i+1])
		}
	}
	return ""
}

// goString copies the NUL-terminated string at an address that the kernel gave
// us.
func goString(addr uintptr) string {
	start := *(*unsafe.Pointer)(unsafe.Pointer(&addr))
	n := 0
	for *(*byte)(unsafe.Add(start, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(start), n))
}

// Subreap replaces this process by a stage that adopts the orphans of its
// descendants (PR_SET_CHILD_SUBREAPER) and starts this program once more, with
// the same arguments, as its worker. It returns only if that fails, and at once if
// this process is a worker already. The worker gets the signals in pending, which
// this process has caught but not acted on.
func Subreap(pending []syscall.Signal) error {
	if worker {
		return nil
	}
	role := asSubreaper
	for _, sig := range pending {
		role += strconv.Itoa(int(sig)) + ","
	}
	env := append(syscall.Environ(), marker+"="+role)
	var first error
	for _, path := range ownPaths() {
		if err := syscall.Exec(path, os.Args, env); first == nil {
			first = err
		}
	}
	return first
}
