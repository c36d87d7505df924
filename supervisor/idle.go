package supervisor

import (
	"context"
	"fmt"
)

// Idle stands in for [Supervisor.Run] where there is no command: it acts on the signals
// from now on, calls started once ready is closed, and returns when one asks for the end
// (TERM, INT, QUIT, HUP) or ctx is cancelled; with once set, already when ready is closed.
// Whoever is asked to end after the start has done its work, so the exit code is 0 then;
// before it the signal is what ended us, and 125 is the code where ctx did.
func (s *Signals) Idle(ctx context.Context, ready <-chan struct{}, once bool, started func()) (Exit, error) {
	if s.err != nil {
		return Exit{Code: exitFailed}, fmt.Errorf("hold signals: %w", s.err)
	}
	s.takeOver()
	begun := false
	for {
		select {
		case <-ready:
			ready, begun = nil, true
			if started(); once {
				return Exit{}, nil
			}
		case <-ctx.Done():
			return Exit{Code: exitFailed, Stopped: true}, nil
		case <-s.arrivals():
			switch sig, ok := s.take(); {
			case ok && sig.Signal == terminalStop:
				s.stop()
			case ok && asksForEnd(sig.Signal) && begun:
				return Exit{}, nil
			case ok && asksForEnd(sig.Signal):
				return signalled(sig.Signal), nil
			}
		}
	}
}
