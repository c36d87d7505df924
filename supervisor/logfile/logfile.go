// Package logfile writes log lines to where nobody may read them.
package logfile

import (
	"os"
	"sync"
	"time"
)

// File is a writer to a file that somebody may have stopped reading: a full
// pipe, a terminal that was stopped with Ctrl-S, a socket. Write never blocks and
// never fails: what can't be written now is kept, up to 64 KiB, and what is more
// is dropped, and counted in a line of its own.
//
// Its lines go where the command's own output goes, so the mode of the file
// (O_NONBLOCK is the command's as well) is left alone.
type File struct {
	fd    int
	plain bool // a regular file: never blocks

	mu      sync.Mutex // guards the following
	pending []byte
	dropped int
	busy    bool          // the goroutine that writes is there
	idle    chan struct{} // closed when it ends
}

const maxPending = 64 << 10

// New returns a writer to f, which has to stay open.
func New(f *os.File) *File {
	info, err := f.Stat()
	l := &File{fd: -1, plain: err == nil && info.Mode().IsRegular()}
	if conn, err := f.SyscallConn(); err == nil { // f.Fd would make the command's file blocking
		_ = conn.Control(func(fd uintptr) { l.fd = int(fd) })
	}
	return l
}

// Write takes b, and returns len(b) and nil.
func (l *File) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.plain {
		writeAll(l.fd, b)
		return len(b), nil
	}
	if len(l.pending)+len(b) > maxPending {
		l.dropped++
		return len(b), nil
	}
	l.pending = append(l.pending, b...)
	if !l.busy {
		l.busy, l.idle = true, make(chan struct{})
		go l.drain()
	}
	return len(b), nil
}

// Flush waits until everything is written, but no longer than d. Call it before
// the process ends.
func (l *File) Flush(d time.Duration) {
	l.mu.Lock()
	idle := l.idle
	l.mu.Unlock()
	if idle == nil {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
}

// drain writes what is pending and ends. It may block for ever.
func (l *File) drain() {
	for {
		l.mu.Lock()
		b := l.pending
		l.pending = nil
		if l.dropped > 0 && len(b) == 0 {
			b, l.dropped = droppedLine(l.dropped), 0
		}
		if len(b) == 0 {
			l.busy = false
			close(l.idle)
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		writeAll(l.fd, b)
	}
}
