package job

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func setPdeathsig(sys *syscall.SysProcAttr, sig syscall.Signal) { sys.Pdeathsig = sig }

// Hide keeps other processes of our user from our memory and environment, and those
// who crash us from a core file. A program that we start is what it would be
// without this. What of ours is read by root or by ourselves still can be.
//
// show undoes it. A process that was closed when it was started (its program is set-uid,
// has capabilities or can't be read) stays so.
func Hide() (show func()) {
	was, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	return func() {
		if err == nil && was == 1 {
			_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
		}
	}
}

// blockTTOU blocks SIGTTOU on this thread and returns what undoes it.
func blockTTOU() (restore func()) {
	var block, old unix.Sigset_t
	const bit = uint(unix.SIGTTOU) - 1
	block.Val[bit/wordBits] = 1 << (bit % wordBits)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &block, &old); err != nil {
		return func() {}
	}
	return func() { unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil) }
}

const wordBits = 8 * uint(unsafe.Sizeof(unix.Sigset_t{}.Val[0]))

// alone reports whether we are the only process in our process group. When
// that can't be known (no /proc) the answer is no, which only means that the
// child shares our group.
//
// A shell starts the members of a pipeline one after the other, so the others
// may not be there yet; a pipe on standard output gives the first one away.
func alone() bool {
	pid := os.Getpid()
	if unix.Getpgrp() != pid {
		return false // the leader is, or was, another process
	}
	var st unix.Stat_t
	if unix.Fstat(1, &st) == nil && (st.Mode&unix.S_IFMT == unix.S_IFIFO || st.Mode&unix.S_IFMT == unix.S_IFSOCK) {
		return false
	}
	all, err := numbers("/proc")
	if err != nil {
		return false
	}
	seen := false // ourselves: else this is not the /proc of our PID namespace
	for _, other := range all {
		if other == pid {
			seen = true
		} else if inGroup(other, pid) {
			return false
		}
	}
	return seen
}

// inGroup reports whether a process that lives is in the process group pgrp. There may be
// thousands of processes, and a single call tells of nearly all that they are not.
func inGroup(pid, pgrp int) bool {
	if group, err := unix.Getpgid(pid); err == unix.ESRCH || err == nil && group != pgrp {
		return false
	}
	group, ok := groupOf(strconv.Itoa(pid)) // which knows what has ended, and what no call may ask about
	return ok && group == pgrp
}

// groupOf returns the process group of a live process.
func groupOf(pid string) (int, bool) {
	fields := Stat(pid)
	if len(fields) < 3 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return 0, false
	}
	pgrp, err := strconv.Atoi(string(fields[2]))
	return pgrp, err == nil
}
