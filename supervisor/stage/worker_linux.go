package stage

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/supervisor/job"
	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// startWorker starts this program once more. It returns the environment that the
// worker has, too.
func startWorker(stream *siginfo.Stream) (*job.Job, []string, error) {
	entry, release, err := offerRole(asWorker)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	spec := job.Spec{Follower: true, Argv: os.Args, Env: append(syscall.Environ(), entry), Stop: stream.Stop}
	var first error
	for _, path := range ownPaths() {
		spec.Path = path
		j, err := job.Start(spec)
		if err == nil {
			return j, spec.Env, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, nil, first
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

// executedAs returns the path that execve was called with, from the auxiliary
// vector (getauxval(3), AT_EXECFN).
func executedAs() string {
	const atExecfn = 31
	auxv, _ := unix.Auxv()
	for _, entry := range auxv {
		if entry[0] == atExecfn {
			return unix.BytePtrToString(*(**byte)(unsafe.Pointer(&entry[1])))
		}
	}
	return ""
}

// Subreap replaces this process by a stage that adopts the orphans of its
// descendants (PR_SET_CHILD_SUBREAPER) and starts this program once more, with
// the same arguments, as its worker. It returns only if that fails, and at once if
// this process is a worker already. The worker gets the signals that pending returns,
// which this process has caught but not acted on.
func Subreap(pending func() []syscall.Signal) error {
	if stagePID != 0 {
		return nil
	}
	role := asSubreaper
	for _, sig := range pending() {
		role += strconv.Itoa(int(sig)) + ","
	}
	entry, release, err := offerRole(role)
	if err != nil {
		return err
	}
	defer release()
	env := append(syscall.Environ(), entry)
	var first error
	for _, path := range ownPaths() {
		if err := syscall.Exec(path, os.Args, env); first == nil {
			first = err
		}
	}
	return first
}
