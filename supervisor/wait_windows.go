package supervisor

import (
	"os"
	"syscall"

	"brs-exec.example/brs-exec/supervisor/job"
)

// goWaiter waits for the child in a goroutine, which ends with it.
type goWaiter struct {
	result chan change
	ended  chan struct{}
}

func newWaiter() waiter { return &goWaiter{} }

func (w *goWaiter) watch(p subprocess) {
	w.result, w.ended = make(chan change, 1), make(chan struct{}, 1)
	result, tell := w.result, w.ended
	go func() {
		state, err := p.(*job.Job).Process().Wait()
		exit := Exit{Code: 1}
		if err == nil {
			exit.Code = state.ExitCode()
		}
		result <- change{kind: ended, exit: exit}
		tell <- struct{}{}
	}()
}

func (w *goWaiter) tick() <-chan struct{} { return w.ended }

func (w *goWaiter) poll(subprocess) (change, error) {
	select {
	case c := <-w.result:
		return c, nil
	default:
		return change{}, nil
	}
}

func (s *Supervisor) resumeForStop() error { return nil }

const terminalStop = syscall.Signal(-1) // there is none

// killAll ends the child; its descendants live on.
func killAll(p subprocess) error { return p.Signal(syscall.SIGKILL) }

func gone(err error) bool { return err == os.ErrProcessDone }
