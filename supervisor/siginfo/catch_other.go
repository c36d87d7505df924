//go:build !linux || !(amd64 || arm64)

package siginfo

import (
	"os"
	"os/signal"
	"syscall"
)

// Stream is what Catch has caught.
type Stream struct{ caught chan os.Signal }

// Open returns the stream of the signals that are given to Catch.
func Open() (*Stream, error) {
	return &Stream{make(chan os.Signal, 4096)}, nil // as many as a burst may bring while nobody reads
}

// Catch catches sig from now on, and undoes Ignore.
func (s *Stream) Catch(sig syscall.Signal) error {
	signal.Notify(s.caught, sig)
	return nil
}

// Next waits for the next signal. Who sent it is not known here.
func (s *Stream) Next() (Info, error) {
	return Info{Signal: (<-s.caught).(syscall.Signal)}, nil
}
