//go:build !linux || !(amd64 || arm64) || brs_ossignal

package siginfo

import (
	"os"
	"os/signal"
	"syscall"
)

// KnowsOrigin reports whether it is known where a signal comes from.
const KnowsOrigin = false

// source is what os/signal has told. Who sent a signal is not known here.
type source struct{ told chan os.Signal }

// Open returns the stream of the signals that are given to Catch.
func Open() (*Stream, error) {
	return &Stream{source: source{make(chan os.Signal, 4096)}}, nil // as many as a burst may bring while nobody reads
}

// Catch catches sig from now on, and undoes Ignore.
func (s *Stream) Catch(sig syscall.Signal) error {
	signal.Notify(s.told, sig)
	s.note(sig)
	return nil
}

func (s *Stream) release([]syscall.Signal) { signal.Stop(s.told) } // which waits for those on their way

// Wait waits until a signal is caught.
func (s *Stream) Wait() error {
	s.Put(Info{Signal: (<-s.told).(syscall.Signal)})
	return nil
}

// fill moves what has been told to the queue.
func (s *Stream) fill() {
	for {
		select {
		case sig := <-s.told: // never, if it is nil
			s.Put(Info{Signal: sig.(syscall.Signal)})
		default:
			return
		}
	}
}
