package siginfo

import (
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// IgnoredAtStart reports whether sig was ignored when this process was started.
// It has to be asked before sig is caught.
//
// The Go runtime leaves HUP and INT alone if they are ignored, and CONT, TSTP,
// TTIN and TTOU in any case; for those the kernel still knows. For the others it
// has installed its handlers before any code of ours runs, and what it found
// there it keeps to itself: see inheritedIgnored.
func IgnoredAtStart(sig syscall.Signal) bool {
	switch sig {
	case unix.SIGHUP, unix.SIGINT, unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		var old sigaction
		if rtSigaction(sig, nil, &old) == nil && old.handler == sigIgn {
			return true
		}
	}
	return inheritedIgnored(sig)
}

// Ignore makes this process ignore sig, and those that it starts.
func Ignore(sig syscall.Signal) {
	signal.Ignore(sig) // else the runtime sets the default action in a child that it forks
	_ = rtSigaction(sig, &sigaction{handler: sigIgn}, nil)
}

// Die makes this process die of sig, without dumping core. It returns if that is
// impossible: for PID 1, and for a signal whose default action is not death.
//
// It works behind the runtime's back, because os/signal can't reset SIGSEGV and
// the like.
func Die(sig syscall.Signal) {
	runtime.LockOSThread()
	// Both are needed: the kernel ignores the limit if cores go to a program.
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	if err := rtSigaction(sig, &sigaction{}, nil); err != nil && sig != unix.SIGKILL {
		return
	}
	none := unix.Sigset_t{}
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil)
	_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), sig)
	if sig == unix.SIGKILL { // shared by all threads: it may take a moment
		_ = unix.Kill(unix.Getpid(), sig)
	}
}

// stopSelf stops this process, and returns when it is continued. The signal goes
// to the calling thread, which therefore does not run on meanwhile.
func stopSelf() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP)
}

// sigaction is the kernel's struct sigaction on 64-bit Linux, but for MIPS.
type sigaction struct {
	handler  uintptr // 0 is SIG_DFL
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
