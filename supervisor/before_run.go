package supervisor

import (
	"context"
	"slices"
	"syscall"
	"time"

	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// tidyTime is how long something may take to tidy up that a signal has
// interrupted before there was a child.
const tidyTime = time.Second

// asksForEnd reports whether sig asks a process for its end.
func asksForEnd(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP:
		return true
	}
	return false
}

// guard acts on the signals that have come, as long as Run does not.
func (s *Signals) guard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return
	}
	now := s.stream.TakeIf(func(sig siginfo.Info) bool {
		return asksForEnd(sig.Signal) || sig.Signal == terminalStop || slices.Contains(childSignals, sig.Signal)
	})
	for _, sig := range now {
		switch {
		case sig.Signal == terminalStop:
			s.stop()
		case asksForEnd(sig.Signal):
			s.die(sig.Signal)
		}
	}
}

// die ends the process because of a signal. Whoever waits for s.mu meanwhile is
// not to go on.
func (s *Signals) die(sig syscall.Signal) {
	for _, f := range slices.Backward(s.atEnd) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			(*f)()
		}()
		select {
		case <-done:
		case <-time.After(tidyTime):
		}
	}
	s.end(signalled(sig))
}

// takeOver leaves the signals to Run.
func (s *Signals) takeOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = true
}

// AtEnd has f called if a signal ends the process before [Supervisor.Run], on another
// goroutine and whatever the process is busy with: to remove what has been made
// by then. What came last is called first. It may take a second. forget undoes it.
func (s *Signals) AtEnd(f func()) (forget func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.atEnd = append(s.atEnd, &f)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.atEnd = slices.DeleteFunc(s.atEnd, func(other *func()) bool { return other == &f })
	}
}

// BeforeRun runs f, which is something that has to be done before there is a child
// and needs to tidy up when it is interrupted, such as a question to a person. A
// signal that asks for the end ends the context of f first.
func (s *Signals) BeforeRun(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	forget := s.AtEnd(func() {
		cancel()
		<-done
	})
	defer forget() // does not return if the process is about to end
	defer close(done)
	defer cancel()
	return f(ctx)
}
