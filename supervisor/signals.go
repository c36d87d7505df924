package supervisor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"brs-exec.example/brs-exec/supervisor/siginfo"
	"brs-exec.example/brs-exec/supervisor/stage"
)

// Signals holds back the signals that this process gets until there is a child
// to have them. Make it with [Hold].
type Signals struct {
	stream    *siginfo.Stream
	arrived   chan struct{}           // something is in the stream; room for one
	ignored   []syscall.Signal        // when we were started
	inherited []int                   // descriptors from 3 up
	err       error                   // of Hold; New returns it
	end       func(Exit)              // of Hold
	stop      func()                  // stops this process, and returns when it is continued
	divert    func(siginfo.Info) bool // for tests: takes a signal away

	mu      sync.Mutex // held while signals are acted on before Run, too
	running bool       // Run acts on the signals
	atEnd   []*func()
}

// Hold catches every signal that is to reach the child, from now on. Call it
// before anything else in main: a signal that comes earlier acts on this process
// as it would on any (as on the child in its own first millisecond). From then on
// os/signal hears nothing of those signals.
//
// Until [Supervisor.Run] is called, whatever this process is busy with, a signal that
// asks for the end (TERM, INT, QUIT, HUP) ends it: what [Signals.AtEnd] was given is
// done, and end is called, which must not return. The terminal's stop is obeyed.
//
// What was ignored when we were started (nohup's HUP) is found out first, and is
// ignored in the child, too.
//
// It is a process-wide act: call it once. A goroutine that waits for signals
// stays as long as the process.
func Hold(end func(Exit)) *Signals {
	s := &Signals{arrived: make(chan struct{}, 1), inherited: inherited(), end: end}
	if s.stream, s.err = siginfo.Open(); s.err != nil {
		return s
	}
	s.stop = s.stream.Stop
	for _, sig := range append(forwarded(), childSignals...) {
		if siginfo.IgnoredAtStart(sig) && !slices.Contains(childSignals, sig) {
			s.ignored = append(s.ignored, sig)
		} else if err := s.stream.Catch(sig); err != nil {
			s.err = err
		}
	}
	s.ignoreInherited()
	go s.watch()
	return s
}

// HoldPipe keeps a standard error that nobody reads any more from ending this
// process, once it has a command to care for.
func (s *Signals) HoldPipe() { holdPipe() }

// Subreap makes this process adopt the orphans of its descendants, so that
// nothing the command leaves behind escapes or stays a zombie, as under PID 1
// (where it changes nothing, because that is the case already). For that it
// replaces this process by a small stage that starts the program anew as its
// child: call it once the flags are read and before anything else is started. In
// the new process it returns nil. Linux only; see prctl(2).
func (s *Signals) Subreap() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := stage.Subreap(s.giveUp); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}
	return nil
}

// giveUp catches signals no longer: from here on one acts on this process as it would
// on any. It returns those that were caught before and are to be passed on.
func (s *Signals) giveUp() (pending []syscall.Signal) {
	s.stream.Release()
	for _, sig := range s.stream.TakeIf(func(siginfo.Info) bool { return true }) {
		switch {
		case asksForEnd(sig.Signal):
			s.die(sig.Signal)
		case !slices.Contains(childSignals, sig.Signal):
			pending = append(pending, sig.Signal)
		}
	}
	return pending
}

// watch waits for signals, and acts on them until Run does.
func (s *Signals) watch() {
	for s.stream.Wait() == nil { // an error only if someone closes descriptors behind our back
		s.guard()
		select {
		case s.arrived <- struct{}{}:
		default:
		}
	}
}

// always is ready.
var always = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// arrivals is ready if there may be something to take.
func (s *Signals) arrivals() <-chan struct{} {
	if s.stream != nil && s.stream.Waiting() {
		return always
	}
	return s.arrived
}

func (s *Signals) take() (siginfo.Info, bool) {
	for {
		sig, ok := s.stream.Take()
		if ok && aboutLimit(sig) {
			continue
		}
		if !ok || s.divert == nil || !s.divert(sig) {
			return sig, ok
		}
	}
}

// ignoreInherited makes a process that is started from now on ignore what we were
// started to ignore. Until catchIgnored is called, so do we.
func (s *Signals) ignoreInherited() {
	for _, sig := range s.ignored {
		siginfo.Ignore(sig)
	}
}

// catchIgnored catches the signals that we were started to ignore as well: the child
// may have installed a handler of its own.
func (s *Signals) catchIgnored() error {
	for _, sig := range s.ignored {
		if err := s.stream.Catch(sig); err != nil {
			return err
		}
	}
	return nil
}

// ParseSignal reads a signal as kill(1) takes it: "HUP", "SIGHUP", "hup", "1",
// and on Linux "RTMIN+3". KILL and STOP are signals, too.
func ParseSignal(s string) (syscall.Signal, error) {
	name := strings.ToUpper(s)
	if n, err := strconv.Atoi(name); err == nil {
		if n < 1 || n > maxSignal {
			return 0, fmt.Errorf("signal %d: not between 1 and %d", n, maxSignal)
		}
		return syscall.Signal(n), nil
	}
	if sig := signalNumber(strings.TrimPrefix(name, "SIG")); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("signal %q: unknown", s)
}

// SignalName returns the name that [ParseSignal] takes: "TERM", "RTMIN+3", or the
// number if it has none.
func SignalName(sig syscall.Signal) string {
	if name := signalName(sig); name != "" {
		return name
	}
	return strconv.Itoa(int(sig))
}
