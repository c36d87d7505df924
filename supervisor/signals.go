package supervisor

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Signals holds back the signals that this process gets until there is a child
// to have them. Make it with [Hold].
type Signals struct {
	caught  chan os.Signal   // to forward; as many as a burst may bring while nobody looks
	child   chan os.Signal   // "something happened to a child"; one is as good as many
	ignored []syscall.Signal // SIG_IGN when we were started
}

// Hold catches every signal that is to reach the child, from now on. Call it
// before anything else in main: a signal that comes earlier acts on this process
// as it would on any (as on the child in its own first millisecond).
//
// What was ignored when we were started (nohup's HUP) is found out first, and is
// ignored in the child, too. SIGPIPE is caught so that a reader of standard
// error that goes away can't end us.
//
// It is a process-wide act: call it once.
func Hold() *Signals {
	s := &Signals{caught: make(chan os.Signal, 4096), child: make(chan os.Signal, 1)}
	s.hold()
	return s
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
