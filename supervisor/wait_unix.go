//go:build unix

package supervisor

import (
	"errors"

	"golang.org/x/sys/unix"

	"brs-exec/supervisor/job"
	"brs-exec/supervisor/siginfo"
)

// change is something that happened to the child.
type change struct {
	kind   changeKind
	signal unix.Signal // stopped: by which
	exit   Exit        // ended: how
}

type changeKind int

const (
	nothing changeKind = iota
	stopped
	continued
	ended
)

// waiter is the one that waits for the child, and for no other process: those
// that os/exec started are waited for there.
type waiter struct{}

// watch and tick are for systems without SIGCHLD.
func (waiter) watch(*job.Job) {}

func (waiter) tick() <-chan struct{} { return nil }

// poll returns the next change, without waiting for it.
func (waiter) poll(j *job.Job) (change, error) {
	var status unix.WaitStatus
	for {
		pid, err := unix.Wait4(j.Pid(), &status, unix.WNOHANG|unix.WUNTRACED|unix.WCONTINUED, nil)
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

// suspended follows the child that a signal has stopped. It returns when we are
// continued.
func (s *Supervisor) suspended(sig unix.Signal) error {
	if err := s.child.suspend(); err != nil {
		return err
	}
	if s.child.state == stopping || s.child.state == killing {
		return gone(s.resumeForStop())
	}
	return gone(s.job.Suspended(sig))
}

// resumeForStop continues a child that is asked to end.
func (s *Supervisor) resumeForStop() error { return s.job.SignalGroup(unix.SIGCONT) }

const terminalStop = unix.SIGTSTP

func stopSelf() { siginfo.Stop() }

// gone takes the error of a signal to a process that ended on its own, and that
// of one to a group whose last member did: we will hear of it.
func gone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
