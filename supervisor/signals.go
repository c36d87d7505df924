package supervisor

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"brs-exec/supervisor/siginfo"
	"brs-exec/supervisor/stage"
)

// Signals holds back the signals that this process gets until there is a child
// to have them. Make it with [Hold].
type Signals struct {
	stream    *siginfo.Stream
	caught    chan siginfo.Info
	ignored   []syscall.Signal // when we were started
	inherited []int            // descriptors from 3 up
	err       error            // of Hold; New returns it
}

// Hold catches every signal that is to reach the child, from now on. Call it
// before anything else in main: a signal that comes earlier acts on this process
// as it would on any (as on the child in its own first millisecond). From then on
// os/signal hears nothing of those signals.
//
// What was ignored when we were started (nohup's HUP) is found out first, and is
// ignored in the child, too. SIGPIPE is caught so that a reader of standard
// error that goes away can't end us.
//
// It is a process-wide act: call it once. A goroutine that waits for signals
// stays as long as the process.
func Hold() *Signals {
	s := &Signals{caught: make(chan siginfo.Info), inherited: inherited()}
	if s.stream, s.err = siginfo.Open(); s.err != nil {
		return s
	}
	for _, sig := range append(forwarded(), childSignals...) {
		if siginfo.IgnoredAtStart(sig) && !slices.Contains(childSignals, sig) {
			s.ignored = append(s.ignored, sig)
		} else if err := s.stream.Catch(sig); err != nil {
			s.err = err
		}
	}
	s.respect()
	holdPipe()
	go pump(s.stream, s.caught)
	return s
}

// Subreap makes this process adopt the orphans of its descendants, so that
// nothing the command leaves behind escapes or stays a zombie, as under PID 1
// (where it changes nothing, because that is the case already). For that it
// replaces this process by a small stage that starts the program anew as its
// child: call it once the flags are read and before anything else is begun. In
// the new process it returns nil. Linux only; see prctl(2).
func (s *Signals) Subreap() error {
	var pending []syscall.Signal
	for {
		select {
		case sig := <-s.caught:
			pending = append(pending, sig.Signal)
			runtime.Gosched() // to the pump
			continue
		default:
		}
		break
	}
	if err := stage.Subreap(pending); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}
	return nil
}

func pump(from *siginfo.Stream, to chan<- siginfo.Info) {
	for {
		info, err := from.Next()
		if err != nil {
			return // only if someone closes descriptors behind our back
		}
		to <- info
	}
}

// respect makes a process that is started from now on ignore what we were
// started to ignore. Until heed is called, so do we.
func (s *Signals) respect() {
	for _, sig := range s.ignored {
		siginfo.Ignore(sig)
	}
}

// heed catches the signals that we were started to ignore as well: the child
// may have installed a handler of its own.
func (s *Signals) heed() error {
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
