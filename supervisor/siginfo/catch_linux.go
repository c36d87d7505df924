//go:build (amd64 || arm64) && !brs_ossignal

package siginfo

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// KnowsOrigin reports whether it is known where a signal comes from.
const KnowsOrigin = true

// record is how much of siginfo_t is written: up to si_uid. Less than PIPE_BUF, so
// a write is all or nothing.
const record = 32

// pipe is the descriptor that the handler writes to.
var pipe int32 //lint:ignore U1000 assembly reads it

// handler, nothing and restorer are run by the kernel, on a thread of its choice.
func handlerPC() uintptr

func nothingPC() uintptr

func restorerPC() uintptr

// source is the pipe that the handler writes to.
type source struct {
	from *os.File
	conn syscall.RawConn
	buf  [64 * record]byte
}

// Open returns the stream of the signals that are given to Catch. There is one
// per process.
func Open() (*Stream, error) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("make a pipe for signals: %w", err)
	}
	pipe = int32(fds[1])
	s := &Stream{source: source{from: os.NewFile(uintptr(fds[0]), "signals")}}
	var err error
	if s.conn, err = s.from.SyscallConn(); err != nil {
		return nil, fmt.Errorf("make a pipe for signals: %w", err)
	}
	return s, nil
}

// Catch catches sig from now on, and undoes Ignore.
func (s *Stream) Catch(sig syscall.Signal) error {
	if err := handle(sig, handlerPC()); err != nil {
		return fmt.Errorf("catch signal %d: %w", sig, err)
	}
	s.addCaught(sig)
	return nil
}

func handle(sig syscall.Signal, handler uintptr) error {
	act := sigaction{handler: handler, flags: saSiginfo | saOnstack | saRestart, mask: ^uint64(0)}
	if pc := restorerPC(); pc != 0 {
		act.restorer, act.flags = pc, act.flags|saRestorer
	}
	return rtSigaction(sig, &act, nil)
}

// SurvivePipe keeps a write to a standard output or error that nobody reads from ending this
// process. What it starts has the default action of SIGPIPE all the same.
//
// At such a write the runtime asks whether the signal is ignored, by its own account. For
// signal.Notify, which would do as well, it starts a thread.
func SurvivePipe() {
	signal.Ignore(syscall.SIGPIPE)
	if handle(syscall.SIGPIPE, nothingPC()) != nil { // a child would inherit that it is ignored
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	}
}

func (s *Stream) release(caught []syscall.Signal) {
	for _, sig := range caught {
		_ = rtSigaction(sig, &sigaction{}, nil)
	}
}

// Wait waits until a signal is caught.
func (s *Stream) Wait() error {
	return s.conn.Read(func(fd uintptr) bool { return s.read(int(fd)) })
}

// fill moves what is in the pipe to the queue.
func (s *Stream) fill() {
	if s.conn != nil {
		_ = s.conn.Control(func(fd uintptr) { s.read(int(fd)) })
	}
}

// read moves what is in the pipe to the queue, and reports whether there was
// anything.
func (s *Stream) read(fd int) (some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		n, err := syscall.Read(fd, s.buf[:])
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 {
			return some
		}
		for at := 0; at < n; at += record {
			s.queue, some = append(s.queue, parse(s.buf[at:at+record])), true
		}
	}
}

// parse reads the beginning of a siginfo_t.
func parse(b []byte) Info {
	field := func(at int) int32 { return int32(binary.NativeEndian.Uint32(b[at:])) }
	info := Info{Signal: syscall.Signal(field(0)), Origin: Kernel}
	// siginfo.h: what processes send has a code of 0 (kill) or below (sigqueue,
	// tgkill), but for timers and the like, which are nobody's.
	switch code := field(8); code {
	case siUser, siQueue, siTkill:
		info.Origin, info.PID = Process, int(field(16))
	}
	return info
}

const (
	siUser  = 0
	siQueue = -1
	siTkill = -6

	saSiginfo  = 0x4
	saOnstack  = 0x08000000 // goroutine stacks are too small
	saRestart  = 0x10000000 // Go expects it
	saRestorer = 0x04000000
)
