package supervisor

import (
	"fmt"
	"syscall"

	"brs-exec/supervisor/siginfo"
)

// caught handles a signal that was sent to us.
func (s *Supervisor) caught(sig siginfo.Info) (*Exit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.job == nil {
		return s.caughtAlone(sig)
	}
	if sig.Signal == syscall.SIGTERM || sig.Signal == syscall.SIGINT {
		s.child.heed()
		if s.child.state == stopping {
			if s.hurry++; s.hurry > 1 {
				s.grace.Reset(0)
				return nil, nil
			}
		}
	}
	return nil, s.forward(sig)
}

// toChild sends a signal of ours to the child, or to its group if asked to.
func (s *Supervisor) toChild(sig syscall.Signal) error {
	if s.opts.SignalGroup {
		return s.job.SignalGroup(sig)
	}
	return s.job.Signal(sig)
}

func (s *Supervisor) forward(sig siginfo.Info) error {
	as, rewritten := s.opts.Rewrite[sig.Signal]
	switch {
	case !rewritten:
		as = sig.Signal
	case as == 0:
		return nil
	}
	if err := gone(s.job.Forward(sig, as, s.opts.SignalGroup)); err != nil {
		return fmt.Errorf("forward %s to pid %d: %w", SignalName(as), s.job.Pid(), err)
	}
	return nil
}

// caughtAlone handles a signal while there is no child. Those that ask for the
// end get it, and the terminal's stop is obeyed. Others are held for the first
// child, as if it had been started at once; between two runs they are dropped,
// and HUP with them unless it can be the terminal's: the next run knows nothing
// of them, and begins with what they may have announced.
func (s *Supervisor) caughtAlone(sig siginfo.Info) (*Exit, error) {
	first := s.child.state == waiting
	switch sig.Signal {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP:
		if sig.Signal == syscall.SIGHUP && !first && !s.terminal {
			return nil, nil
		}
		exit := signalled(sig.Signal)
		return &exit, s.child.abandon()
	case terminalStop:
		stopSelf()
		return nil, nil
	}
	if first {
		s.held = append(s.held, sig)
	}
	return nil, nil
}
