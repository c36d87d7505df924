// Package logfile writes log lines to where that may take for ever.
package logfile

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// File is a writer to a file that may take nothing for a time: a full pipe that
// nobody reads, a terminal that was stopped with Ctrl-S, a file system whose server
// is gone. Write never blocks and never fails: what can't be written now is kept, up
// to 64 KiB, and what is more is dropped, and counted in a line in its place.
//
// Its lines go where the command's own output goes, so the mode of the file
// (O_NONBLOCK is the command's as well) is left alone.
type File struct {
	write   func([]byte) // may block
	hasRoom func() bool  // a write would not wait for who reads

	mu      sync.Mutex // guards the following
	pending []byte
	dropped int
	busy    bool          // the goroutine that writes is there
	idle    chan struct{} // closed when it ends
}

const (
	maxPending  = 64 << 10
	slowMachine = 30 * time.Second
	droppedLine = "brs-exec: %d log lines were dropped: they could not be written in time"
)

// New returns a writer to f, which has to stay open.
func New(f *os.File) *File {
	number := -1
	if conn, err := f.SyscallConn(); err == nil { // f.Fd would make the command's file blocking
		_ = conn.Control(func(fd uintptr) { number = int(fd) })
	}
	return &File{
		write:   func(b []byte) { writeAll(number, b) },
		hasRoom: func() bool { return hasRoom(number) },
	}
}

// Write takes b, a line, and returns len(b) and nil.
func (l *File) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending)+len(b) > maxPending {
		l.dropped++
		return len(b), nil
	}
	l.countDropped()
	l.pending = append(l.pending, b...)
	if !l.busy {
		l.busy, l.idle = true, make(chan struct{})
		go l.drain()
	}
	return len(b), nil
}

// Flush waits until everything is written, but no longer than d for a file that has
// no room. Where there is room, only this machine is slow: then it waits for up to
// half a minute. Call it before the process ends.
func (l *File) Flush(d time.Duration) {
	l.mu.Lock()
	idle := l.idle
	l.mu.Unlock()
	if idle == nil {
		return
	}
	for began := time.Now(); ; {
		select {
		case <-idle:
			return
		case <-time.After(d):
			if time.Since(began) >= slowMachine || !l.hasRoom() {
				return
			}
		}
	}
}

// countDropped puts the count in the place of the lines. l.mu is held.
func (l *File) countDropped() {
	if l.dropped > 0 {
		l.pending, l.dropped = fmt.Appendf(l.pending, droppedLine+lineEnd, l.dropped), 0
	}
}

// drain writes what is pending and ends. It may block for ever.
func (l *File) drain() {
	for {
		l.mu.Lock()
		if len(l.pending) == 0 {
			l.countDropped()
		}
		b := l.pending
		l.pending = nil
		if len(b) == 0 {
			l.busy = false
			close(l.idle)
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		l.write(b)
	}
}
