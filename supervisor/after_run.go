package supervisor

import (
	"context"
	"fmt"
)

// AfterRun runs f, which tidies up once [Supervisor.Run] has returned and may have to wait
// for something. A signal that asks for the end ends the context of f, with a
// cause that says so; the exit status stays that of the child.
func (s *Signals) AfterRun(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over, left := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(left)
		for {
			select {
			case <-over:
				return
			case <-s.arrivals():
			}
			switch sig, ok := s.take(); {
			case ok && sig.Signal == terminalStop:
				s.stop()
			case ok && asksForEnd(sig.Signal):
				cancel(fmt.Errorf("interrupted by %s", SignalName(sig.Signal)))
			}
		}
	}()
	defer func() {
		close(over)
		<-left
	}()
	return f(ctx)
}
