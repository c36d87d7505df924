package supervisor

import (
	"context"
	"fmt"
	"time"

	"brs-exec.example/brs-exec/supervisor/job"
	"brs-exec.example/brs-exec/supervisor/stage"
)

// Idle stands in for [Supervisor.Run] where there is no command: it acts on the signals
// from now on, calls started once ready is closed, and returns when one asks for the end
// (TERM, INT, QUIT, HUP) or ctx is cancelled; with once set, already when ready is closed.
// Whoever ends because that is what was asked for has done its work: the exit code is 0. With
// once set there is something to wait for, and a signal before ready is what ended us. The code
// is 125 where ctx did.
func (s *Signals) Idle(ctx context.Context, ready <-chan struct{}, once bool, started func()) (Exit, error) {
	if s.err != nil {
		return Exit{Code: exitFailed}, fmt.Errorf("hold signals: %w", s.err)
	}
	s.takeOver()
	job.Hide() // a neighbour of the same user could look
	shrink := time.AfterFunc(time.Hour, stage.Shrink)
	shrink.Stop()
	defer shrink.Stop()
	for {
		select {
		case <-ready:
			ready = nil
			shrink.Reset(shrinkAfter)
			if started(); once {
				return Exit{}, nil
			}
		case <-ctx.Done():
			return Exit{Code: exitFailed, Stopped: true}, nil
		case <-s.arrivals():
			switch sig, ok := s.take(); {
			case ok && sig.Signal == terminalStop:
				s.stop()
			case ok && asksForEnd(sig.Signal) && once:
				return signalled(sig.Signal), nil
			case ok && asksForEnd(sig.Signal):
				return Exit{}, nil
			}
		}
	}
}
