//go:build unix

package supervisor

import (
	"syscall"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/supervisor/job"
)

// detach gives up what only the child needs, see Options.Once. Where it can't,
// nothing is lost but tidiness.
func (s *Signals) detach(leaveDir bool) {
	if leaveDir {
		_ = unix.Chdir("/")
	}
	job.Detach(s.inherited) // last: who reads the end of a pipe may rely on all of it
}

func inherited() []int { return job.Inherited() }

// ownThread runs functions on a thread of its own, which ends when start is
// closed: a child with a parent-death signal gets it when the thread that forked
// it ends. Under a stage, we get that signal if the stage dies, and pass it on.
func ownThread(start <-chan func(), sig syscall.Signal) {
	lockForGood()
	followStage(sig)
	for f := range start {
		f()
	}
}
