package supervisor

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dieOf sets the default action of sig behind the runtime's back (os/signal
// can't, for SIGSEGV and the like), unblocks it on this thread and sends it to
// this thread.
func dieOf(sig syscall.Signal) {
	runtime.LockOSThread()
	// Two limits: the kernel ignores RLIMIT_CORE if cores go to a program.
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)

	action := sigaction{} // handler 0: SIG_DFL
	if err := rtSigaction(sig, &action, nil); err != nil && sig != unix.SIGKILL {
		return
	}
	none := unix.Sigset_t{}
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil)
	_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), sig)
}

// sigaction is the kernel's struct sigaction on all 64-bit architectures that
// Linux Go runs on but MIPS.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const sigIgn = 1 // SIG_IGN

func rtSigaction(sig syscall.Signal, act, old *sigaction) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(act)),
		uintptr(unsafe.Pointer(old)), unsafe.Sizeof(sigaction{}.mask), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
