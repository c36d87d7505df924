package siginfo

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCatch sends signals to this process: each one arrives, in order, with the
// process that sent it. It runs on each architecture that has a handler of its own.
func TestCatch(t *testing.T) {
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	signals := []syscall.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGCHLD, syscall.Signal(40),
	}
	for _, sig := range signals {
		if err := s.Catch(sig); err != nil {
			t.Fatal(err)
		}
	}
	var from int
	if KnowsOrigin {
		from = os.Getpid()
	}
	for range 20 {
		for _, sig := range signals {
			want := Info{Signal: sig, PID: from}
			if KnowsOrigin {
				want.Origin = Process
			}
			if err := syscall.Kill(os.Getpid(), sig); err != nil {
				t.Fatal(err)
			}
			if err := s.Wait(); err != nil {
				t.Fatal(err)
			}
			got, ok := s.Take()
			for ok && got.Signal == syscall.SIGCHLD && sig != syscall.SIGCHLD { // of nobody's child here
				got, ok = s.Take()
			}
			if diff := cmp.Diff(want, got); !ok || diff != "" {
				t.Fatalf("%v: caught %v (-want +got):\n%s", sig, ok, diff)
			}
		}
	}
	if s.Waiting() {
		t.Error("more was caught than was sent")
	}
}

// TestBurst queues signals of a kind that the kernel queues: none may be lost while
// nobody reads.
func TestBurst(t *testing.T) {
	if !KnowsOrigin {
		t.Log("os/signal keeps one of each: nothing is promised")
		return
	}
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	const sig, n = syscall.Signal(41), 300
	if err := s.Catch(sig); err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := syscall.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
	}
	for got := 0; got < n; {
		if err := s.Wait(); err != nil {
			t.Fatal(err)
		}
		for _, ok := s.Take(); ok; _, ok = s.Take() {
			got++
		}
	}
}

// TestSurvivePipe: the signal does nothing to this process, also at a write to a standard error
// that nobody reads, and ends one that it starts. It runs on each architecture that has a handler
// of its own.
func TestSurvivePipe(t *testing.T) {
	SurvivePipe()
	if err := syscall.Kill(os.Getpid(), syscall.SIGPIPE); err != nil {
		t.Fatal(err)
	}
	var now sigaction
	if err := rtSigaction(syscall.SIGPIPE, nil, &now); err != nil || now.handler == sigIgn || now.handler == 0 {
		t.Errorf("the handler is %#x (%v)", now.handler, err)
	}
	err := exec.Command("/bin/sh", "-c", "kill -PIPE $$; exit 7").Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGPIPE {
		t.Errorf("a child that gets the signal: %v, want that it dies of it", err)
	}

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	stderr := int(os.Stderr.Fd()) // with -json it is 1
	was, err := syscall.Dup(stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(was)
	if err := syscall.Dup3(int(w.Fd()), stderr, 0); err != nil {
		t.Fatal(err)
	}
	_, err = os.Stderr.WriteString("x\n")
	if err := syscall.Dup3(was, stderr, 0); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a write that nobody reads: %v, want %v", err, syscall.EPIPE)
	}
}
