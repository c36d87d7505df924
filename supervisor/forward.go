package supervisor

import (
	"syscall"

	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// caught handles a signal that was sent to us.
func (s *Supervisor) caught(sig siginfo.Info) (*Exit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.job == nil {
		return s.caughtWithoutChild(sig)
	}
	as, passed := s.rewrite(sig.Signal)
	if passed && (endsForGood(sig.Signal) || endsForGood(as)) {
		s.child.markFinal()
		if s.child.state == stopping {
			if s.impatience++; s.impatience > 1 {
				s.grace.Reset(0)
				return nil, nil
			}
		}
	}
	s.forward(sig)
	return nil, nil
}

// endsForGood reports whether sig tells a command to end for good.
func endsForGood(sig syscall.Signal) bool { return sig == syscall.SIGTERM || sig == syscall.SIGINT }

// toChild sends a signal of ours to the child, or to its group if asked to.
func (s *Supervisor) toChild(sig syscall.Signal) error {
	if s.opts.SignalGroup {
		return s.job.SignalGroup(sig)
	}
	return s.job.Signal(sig)
}

// rewrite returns what is forwarded for sig; not passed: nothing.
func (s *Supervisor) rewrite(sig syscall.Signal) (as syscall.Signal, passed bool) {
	if as, ok := s.opts.Rewrite[sig]; ok {
		return as, as != 0
	}
	return sig, true
}

func (s *Supervisor) forward(sig siginfo.Info) {
	if as, passed := s.rewrite(sig.Signal); passed {
		s.sent(as, s.job.Forward(sig, as, s.opts.SignalGroup))
	}
}

// sent looks at the error of a signal to the child. It is never a reason to leave
// the child alone: that it has ended we hear anyway, and one that runs as another
// user (sudo) and may not be signalled goes on as it would without us. That is reported once.
func (s *Supervisor) sent(sig syscall.Signal, err error) {
	if err == nil || gone(err) || s.refused {
		return
	}
	s.refused = true
	s.events = append(s.events, Event{Kind: Refused, PID: s.job.Pid(), Signal: sig, Err: err})
}

// caughtWithoutChild handles a signal while there is no child. Those that ask for the
// end get it, and the terminal's stop is obeyed. Others are held for the first
// child, as if it had been started at once; between two runs they are dropped,
// and HUP with them unless it can be the terminal's: the next run knows nothing
// of them, and begins with what they may have announced. What is never to be passed
// on does not end a pause either.
func (s *Supervisor) caughtWithoutChild(sig siginfo.Info) (*Exit, error) {
	first := s.child.state == waiting
	_, passed := s.rewrite(sig.Signal)
	switch {
	case !first && !passed:
	case asksForEnd(sig.Signal):
		if sig.Signal == syscall.SIGHUP && !first && !s.terminal {
			return nil, nil
		}
		exit := signalled(sig.Signal)
		return &exit, s.child.abandon()
	case sig.Signal == terminalStop:
		s.signals.stop()
	case first:
		s.held = append(s.held, sig)
	}
	return nil, nil
}
