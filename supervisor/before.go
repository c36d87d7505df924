package supervisor

import (
	"context"
	"syscall"
	"time"
)

// farewell is how long something that was interrupted may take to tidy up.
const farewell = 200 * time.Millisecond

// Before runs f, which is something that has to be done before there is a child
// and may take long, such as a question to a person. A signal that asks for the end
// (TERM, INT, QUIT, HUP) ends the context of f, and is in the Exit, which is the
// zero value otherwise; the terminal's stop is obeyed. Others are dropped: there
// is nobody yet whom they could be for.
func (s *Signals) Before(ctx context.Context, f func(context.Context) error) (Exit, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1) // so that f's goroutine ends also if f is left behind
	go func() { done <- f(ctx) }()
	for {
		select {
		case err := <-done:
			return Exit{}, err
		case sig := <-s.caught:
			switch sig.Signal {
			case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP:
				cancel()
				late := time.NewTimer(farewell)
				defer late.Stop()
				select {
				case <-done:
				case <-late.C:
				}
				return signalled(sig.Signal), nil
			case terminalStop:
				stopSelf()
			}
		}
	}
}
