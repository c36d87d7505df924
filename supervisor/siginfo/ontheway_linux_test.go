package siginfo

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"
)

// A CONT that another thread has taken, and not told us of, is waited for.
func TestContinued(t *testing.T) {
	for _, test := range []struct {
		name   string
		onWay  int // looks for which a signal is on the way
		cont   int // after how many looks a CONT is caught, 0: never
		want   bool
		rounds int
	}{
		{"none", 0, 0, false, 1},
		{"caught by then", 0, 1, true, 1},
		{"on the way", 100, 100, true, 100},
		{"another signal was on the way", 100, 0, false, 101},
		{"always on the way", 1000, 0, false, settles},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s Stream
				looks := 0
				got := s.continued(func() bool {
					if looks++; looks == test.cont {
						s.Put(Info{Signal: sigCont})
					}
					return looks <= test.onWay
				})
				if got != test.want || looks != test.rounds {
					t.Errorf("continued = %t after %d looks, want %t after %d", got, looks, test.want, test.rounds)
				}
			})
		})
	}
}

func TestTakes(t *testing.T) {
	const (
		quiet   = "Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\nSigCgt:\tfffffffdffc1feff\n"
		pending = "Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000020000\nSigBlk:\t0000000000000000\n"
		handles = "Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\nSigBlk:\tfffffffffffbfeff\n"
		other   = "Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000010000\nSigBlk:\t0000000000020000\n"
	)
	for status, want := range map[string]bool{quiet: false, pending: true, handles: true, other: false, "": false} {
		if got := takes([]byte(status)); got != want {
			t.Errorf("takes(%q) = %t, want %t", status, got, want)
		}
	}
}

// TestOnTheWay: a thread in which all signals are blocked may be in a handler.
func TestOnTheWay(t *testing.T) {
	runtime.LockOSThread() // for good: the thread ends with this goroutine
	var all, old unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &old); err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/thread-self/status")
	seen := onTheWay()
	if err := errors.Join(err, unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(status), "fffbfeff") {
		t.Skip("this machine is emulated, and blocks other signals than are asked for")
	}
	if !seen {
		t.Error("no signal is on the way while all are blocked in a thread")
	}
}
