package supervisor

import (
	"errors"
	"fmt"
	"syscall"
)

// errUnhandled is what [Supervisor.Signal] returns for a child that would
// ignore the signal or die of it.
var errUnhandled = errors.New("the command does not handle it")

// errNoChild is what [Supervisor.Signal] returns while there is no child.
var errNoChild = errors.New("the command is not running")

// Signal sends sig to the child, if the child has installed a handler for it or
// evenIfUnhandled is set: most signals end a process that does not expect them.
// It may be called from any goroutine.
//
// The errors are errUnhandled (also where this can't be known, without /proc),
// errNoChild, or that of kill(2). On Windows there is nothing to send.
func (s *Supervisor) Signal(sig syscall.Signal, evenIfUnhandled bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.job == nil {
		return fmt.Errorf("signal %s: %w", SignalName(sig), errNoChild)
	}
	if !evenIfUnhandled && !handles(s.job.Pid(), sig) {
		return fmt.Errorf("signal %s to pid %d: %w", SignalName(sig), s.job.Pid(), errUnhandled)
	}
	if err := s.job.Signal(sig); err != nil {
		return fmt.Errorf("signal %s to pid %d: %w", SignalName(sig), s.job.Pid(), err)
	}
	return nil
}
