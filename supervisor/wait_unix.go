//go:build unix

package supervisor

import (
	"errors"

	"golang.org/x/sys/unix"
)

// waiter4 waits with wait4(2), at each SIGCHLD.
type waiter4 struct{}

func newWaiter() waiter { return waiter4{} }

func (waiter4) watch(subprocess) {}

func (waiter4) tick() <-chan struct{} { return nil }

func (waiter4) poll(j subprocess) (change, error) {
	var status unix.WaitStatus
	for {
		pid, err := unix.Wait4(j.Pid(), &status, unix.WNOHANG|unix.WUNTRACED|waitContinued, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil || pid == 0:
			return change{}, err
		case status.Stopped():
			return change{kind: stopped, signal: status.StopSignal()}, nil
		case status.Continued():
			return change{kind: continued}, nil
		case status.Signaled():
			return change{kind: ended, exit: signalled(status.Signal())}, nil
		}
		return change{kind: ended, exit: Exit{Code: status.ExitStatus()}}, nil
	}
}

// resumeForStop continues a child that is asked to end.
func (s *Supervisor) resumeForStop() error { return s.job.SignalGroup(unix.SIGCONT) }

const terminalStop = unix.SIGTSTP

// gone tells the error of a signal to a process that ended on its own, and that
// of one to a group whose last member did: we will hear of it.
func gone(err error) bool { return errors.Is(err, unix.ESRCH) }
