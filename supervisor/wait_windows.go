package supervisor

import (
	"os"
	"syscall"

	"brs-exec/supervisor/job"
)

type change struct {
	kind   changeKind
	signal syscall.Signal
	exit   Exit
}

type changeKind int

const (
	nothing changeKind = iota
	stopped
	continued
	ended
)

// waiter waits for the child in a goroutine, which ends with it.
type waiter struct {
	result chan change
	ended  chan struct{}
}

func (w *waiter) watch(j *job.Job) {
	w.result, w.ended = make(chan change, 1), make(chan struct{}, 1)
	result, tell := w.result, w.ended
	go func() {
		state, err := j.Process().Wait()
		exit := Exit{Code: 1}
		if err == nil {
			exit.Code = state.ExitCode()
		}
		result <- change{kind: ended, exit: exit}
		tell <- struct{}{}
	}()
}

func (w *waiter) tick() <-chan struct{} { return w.ended }

func (w *waiter) poll(*job.Job) (change, error) {
	select {
	case c := <-w.result:
		return c, nil
	default:
		return change{}, nil
	}
}

func (s *Supervisor) suspended(syscall.Signal) error { return s.child.suspend() }

func (s *Supervisor) resumeForStop() error { return nil }

const terminalStop = syscall.Signal(-1) // there is none

func stopSelf() {}

// killAll ends the child; its descendants live on.
func killAll(j *job.Job) error { return j.Signal(syscall.SIGKILL) }

func gone(err error) error {
	if err == os.ErrProcessDone {
		return nil
	}
	return err
}
