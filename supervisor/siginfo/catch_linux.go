//go:build amd64 || arm64

package siginfo

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
)

// record is how much of siginfo_t is written: up to si_uid. Less than PIPE_BUF, so
// a write is all or nothing.
const record = 32

// pipe is the descriptor that the handler writes to.
var pipe int32 //lint:ignore U1000 assembly reads it

// handler and restorer are run by the kernel, on a thread of its choice.
func handlerPC() uintptr

func restorerPC() uintptr

// Stream is what Catch has caught, in order.
type Stream struct{ from *os.File }

// Open returns the stream of the signals that are given to Catch. There is one
// per process.
func Open() (*Stream, error) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("make a pipe for signals: %w", err)
	}
	pipe = int32(fds[1])
	return &Stream{os.NewFile(uintptr(fds[0]), "signals")}, nil
}

// Catch catches sig from now on, and undoes Ignore.
func (s *Stream) Catch(sig syscall.Signal) error {
	act := sigaction{handler: handlerPC(), flags: saSiginfo | saOnstack | saRestart, mask: ^uint64(0)}
	if pc := restorerPC(); pc != 0 {
		act.restorer, act.flags = pc, act.flags|saRestorer
	}
	if err := rtSigaction(sig, &act, nil); err != nil {
		return fmt.Errorf("catch signal %d: %w", sig, err)
	}
	return nil
}

// Next waits for the next signal.
func (s *Stream) Next() (Info, error) {
	var b [record]byte
	if _, err := s.from.Read(b[:]); err != nil {
		return Info{}, fmt.Errorf("read signals: %w", err)
	}
	field := func(at int) int32 { return int32(binary.NativeEndian.Uint32(b[at:])) }
	info := Info{Signal: syscall.Signal(field(0)), Origin: Kernel}
	// siginfo.h: what processes send has a code of 0 (kill) or below (sigqueue,
	// tgkill), but for timers and the like, which are nobody's.
	switch code := field(8); code {
	case siUser, siQueue, siTkill:
		info.Origin, info.PID = Process, int(field(16))
	}
	return info, nil
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
