package supervisor

import (
	"syscall"

	"brs-exec.example/brs-exec/supervisor/job"
	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// subprocess is the child: a [job.Job], or what stands for one in tests.
type subprocess interface {
	Pid() int
	OwnGroup() bool
	Terminal() bool
	Signal(syscall.Signal) error
	SignalGroup(syscall.Signal) error
	Forward(sig siginfo.Info, as syscall.Signal, group bool) error
	Suspended(syscall.Signal) error
	Ended()
}

// waiter is the one that waits for the child, and for no other process: those
// that os/exec started are waited for there.
type waiter interface {
	watch(subprocess)
	tick() <-chan struct{}           // tells of a change on systems without SIGCHLD
	poll(subprocess) (change, error) // the next change, without waiting for it
}

// change is something that happened to the child.
type change struct {
	kind   changeKind
	signal syscall.Signal // stopped: by which
	exit   Exit           // ended: how
}

type changeKind int

const (
	nothing changeKind = iota
	stopped
	continued
	ended
)

// startJob is how a child is started; tests have another one.
func startJob(spec job.Spec) (subprocess, error) {
	job.Hide() // before a child can look
	j, err := job.Start(spec)
	if err != nil {
		return nil, err
	}
	return j, nil
}
