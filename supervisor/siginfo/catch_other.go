//go:build !linux || !(amd64 || arm64) || brs_ossignal

package siginfo

import (
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// KnowsOrigin reports whether it is known where a signal comes from.
const KnowsOrigin = false

// source is what os/signal has caught. Who sent a signal is not known here.
type source struct {
	arrived  chan os.Signal
	released chan struct{} // closed then
	waits    sync.Mutex    // held by Wait: what it has taken is in the queue once that is free
}

// Open returns the stream of the signals that are given to Catch.
func Open() (*Stream, error) {
	return &Stream{source: source{
		arrived:  make(chan os.Signal, 4096), // as many as a burst may bring while nobody reads
		released: make(chan struct{}),
	}}, nil
}

// Catch catches sig from now on, and undoes Ignore.
func (s *Stream) Catch(sig syscall.Signal) error {
	signal.Notify(s.arrived, sig)
	s.addCaught(sig)
	return nil
}

// SurvivePipe keeps a write to a standard output or error that nobody reads from ending this
// process. What it starts has the default action of SIGPIPE all the same.
func SurvivePipe() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// release may be called once.
func (s *Stream) release([]syscall.Signal) {
	signal.Stop(s.arrived) // which waits for those on their way
	close(s.released)
	s.waits.Lock()
	defer s.waits.Unlock()
}

// Wait waits until a signal is caught. It is an error that none will be any more.
func (s *Stream) Wait() error {
	s.waits.Lock()
	defer s.waits.Unlock()
	select {
	case sig := <-s.arrived:
		s.Put(Info{Signal: sig.(syscall.Signal)})
		return nil
	case <-s.released:
		return errors.New("no signal is caught any more")
	}
}

// fill moves what has arrived to the queue.
func (s *Stream) fill() {
	for {
		select {
		case sig := <-s.arrived: // never, if it is nil
			s.Put(Info{Signal: sig.(syscall.Signal)})
		default:
			return
		}
	}
}
