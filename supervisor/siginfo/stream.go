package siginfo

import (
	"slices"
	"sync"
	"syscall"
	"time"
)

// Stream is what has been caught, in order, and not been taken. There is one per
// process: see [Open]. The zero value catches nothing, and serves tests.
type Stream struct {
	source
	mu     sync.Mutex
	queue  []Info
	caught []syscall.Signal
}

// Put adds a signal as if it had been caught.
func (s *Stream) Put(info Info) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, info)
}

// Take returns the first signal that has not been taken; ok is false if there
// is none.
func (s *Stream) Take() (info Info, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return Info{}, false
	}
	info, s.queue = s.queue[0], s.queue[1:]
	return info, true
}

// TakeIf takes those signals that which chooses.
func (s *Stream) TakeIf(which func(Info) bool) (taken []Info) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = slices.DeleteFunc(s.queue, func(i Info) bool {
		if !which(i) {
			return false
		}
		taken = append(taken, i)
		return true
	})
	return taken
}

// Waiting reports whether there is something to take.
func (s *Stream) Waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) > 0
}

const (
	settle  = 2 * time.Millisecond // a handler on another thread is done by then
	settles = 250                  // how often we wait for that on a machine that is busy
)

// Stop stops this process, and returns when it is continued. It returns at once
// if a CONT has been caught and not been taken: when a shell continues a job that
// was stopped as a group, we may hear that the child had been stopped before we
// hear that it was continued. To stop then would be for ever, since the shell sends no
// second CONT.
func (s *Stream) Stop() {
	if !s.continued(onTheWay) {
		stopSelf()
	}
}

// continued tells whether a CONT has been caught and not been taken, once none is on
// the way any more.
func (s *Stream) continued(onTheWay func() bool) bool {
	for range settles {
		began := time.Now()
		time.Sleep(settle)
		wait := onTheWay() // before the queue is looked at: what is no longer on the way is there
		s.fill()
		s.mu.Lock()
		continued := slices.ContainsFunc(s.queue, func(i Info) bool { return i.Signal == sigCont })
		s.mu.Unlock()
		if continued {
			return true
		}
		if !wait && time.Since(began) < 5*settle { // else we may have been stopped meanwhile
			break
		}
	}
	return false
}

func (s *Stream) addCaught(sig syscall.Signal) {
	if !slices.Contains(s.caught, sig) {
		s.caught = append(s.caught, sig)
	}
}

// Release gives each signal that is caught its default action again, so that
// none is caught any more.
func (s *Stream) Release() {
	s.release(s.caught)
	s.caught = nil
	s.fill()
}
