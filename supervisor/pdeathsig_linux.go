package supervisor

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/supervisor/stage"
)

// lockForGood keeps the goroutine on its thread, which ends with it.
func lockForGood() { runtime.LockOSThread() }

// followStage asks for sig if our stage dies.
func followStage(sig syscall.Signal) {
	if stage.PID() != 0 {
		_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(sig), 0, 0, 0)
	}
}
