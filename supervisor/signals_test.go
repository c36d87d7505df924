//go:build unix

package supervisor

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	// report prints "ready PID", then the name of each signal that it gets; USR2
	// ends it with code 7, and so does the end of its standard input if there is
	// an argument "eof". With "default:SIG" it does not catch SIG.
	register("report", func(args []string) {
		c := make(chan os.Signal, 10000)
		skip := map[syscall.Signal]bool{}
		eof := make(chan struct{})
		for _, arg := range args {
			if name, ok := strings.CutPrefix(arg, "default:"); ok {
				sig, err := ParseSignal(name)
				if err != nil {
					panic(err)
				}
				skip[sig] = true
			}
			if arg == "eof" {
				go func() {
					os.Stdin.Read(make([]byte, 1))
					close(eof)
				}()
			}
		}
		for n := 1; n <= maxSignal; n++ {
			sig := syscall.Signal(n)
			if skip[sig] || sig == unix.SIGURG || sig == unix.SIGPIPE || sig == unix.SIGCHLD || sig == unix.SIGPROF {
				continue
			}
			signal.Notify(c, sig)
		}
		fmt.Println("ready", os.Getpid())
		for {
			select {
			case sig := <-c:
				fmt.Println(SignalName(sig.(syscall.Signal)))
				if sig == unix.SIGUSR2 {
					os.Exit(7)
				}
			case <-eof:
				os.Exit(7)
			}
		}
	})
}

// ready reads "ready PID" and returns the PID.
func (p *process) ready() int {
	p.t.Helper()
	line := p.line()
	pid, err := strconv.Atoi(strings.TrimPrefix(line, "ready "))
	if err != nil {
		p.t.Fatalf("got %q, want ready PID", line)
	}
	return pid
}

func TestEverySignalIsForwardedOnce(t *testing.T) {
	t.Parallel()
	p := start(t, command(t, wrapped(t, helper(t, "report")...)...))
	p.ready()
	for _, sig := range forwarded() {
		if sig == unix.SIGUSR2 {
			continue // ends the helper
		}
		p.signal(sig)
		p.expect(SignalName(sig))
	}
	p.signal(unix.SIGUSR2)
	p.expect("USR2")
	if line, ok := <-p.lines; ok {
		t.Errorf("one more line: %q", line)
	}
	if got := p.status(); got != "exit 7" {
		t.Errorf("status = %s, want exit 7", got)
	}
}

func TestSpuriousSignalsAreNotForwarded(t *testing.T) {
	t.Parallel()
	cmd := command(t, wrapped(t, "/bin/sh", "-c", `trap 'echo URG' URG; trap 'echo PIPE' PIPE; trap 'echo USR1; exit 7' USR1
		echo ready; n=0; while [ $n -lt 3000 ]; do n=$((n+1)); sleep 0.05; done`)...)
	p := start(t, cmd)
	p.expect("ready")
	for range 20 {
		p.signal(unix.SIGURG)
		p.signal(unix.SIGPIPE)
		p.signal(unix.SIGCHLD)
	}
	p.signal(unix.SIGUSR1)
	p.expect("USR1")
	if got := p.status(); got != "exit 7" {
		t.Errorf("status = %s, want exit 7", got)
	}
}

// A signal that comes before the command is there reaches it afterwards, or ends
// the wrapper without one: it is never lost, and the wrapper never leaves a
// child alone.
func TestSignalsBeforeThereIsAChild(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sig  syscall.Signal
		want string
	}{
		{unix.SIGTERM, "signal TERM"},
		{unix.SIGINT, "signal INT"},
		{unix.SIGHUP, "signal HUP"},
		{unix.SIGQUIT, "signal QUIT"},
	} {
		t.Run(SignalName(tt.sig), func(t *testing.T) {
			t.Parallel()
			p := start(t, command(t, helper(t, "hold", "true")...))
			p.expect("held")
			p.signal(unix.SIGUSR1)
			p.signal(unix.SIGWINCH)
			p.signal(tt.sig)
			if got := p.status(); got != tt.want {
				t.Errorf("status = %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("held", func(t *testing.T) {
		t.Parallel()
		p := start(t, command(t, helper(t, "hold", "sleep", "100")...))
		p.expect("held")
		p.signal(unix.SIGUSR1)
		p.signal(unix.SIGWINCH)
		p.stdin.Close() // becomes ready
		if got := p.status(); got != "signal USR1" {
			t.Errorf("status = %s, want the death of the command by the signal that was held back", got)
		}
	})
}

func init() {
	// hold prints "held" once it holds signals; it is ready when its standard
	// input ends.
	register("hold", func(args []string) {
		signals := hold()
		fmt.Println("held")
		s, err := New(Options{Argv: args}, signals)
		if err != nil {
			panic(err)
		}
		ready := make(chan struct{})
		go func() {
			os.Stdin.Read(make([]byte, 1))
			close(ready)
		}()
		exit, err := s.Run(context.Background(), ready)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		exit.Raise()
		os.Exit(exit.Code)
	})
}

func TestParseSignal(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want syscall.Signal
		name string
	}{
		{"HUP", unix.SIGHUP, "HUP"},
		{"SIGHUP", unix.SIGHUP, "HUP"},
		{"sigterm", unix.SIGTERM, "TERM"},
		{"1", unix.SIGHUP, "HUP"},
		{"15", unix.SIGTERM, "TERM"},
		{"KILL", unix.SIGKILL, "KILL"},
		{"", 0, ""},
		{"0", 0, ""},
		{"-1", 0, ""},
		{"65", 0, ""},
		{"SIG", 0, ""},
		{"SIGSIGHUP", 0, ""},
		{"FOO", 0, ""},
	} {
		got, err := ParseSignal(tt.in)
		if got != tt.want || (err == nil) != (tt.want != 0) {
			t.Errorf("ParseSignal(%q) = %d, %v, want %d", tt.in, got, err, tt.want)
		}
		if err == nil && SignalName(got) != tt.name {
			t.Errorf("SignalName(%d) = %q, want %q", got, SignalName(got), tt.name)
		}
	}
}
