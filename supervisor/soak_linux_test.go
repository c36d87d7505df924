package supervisor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func cycles() int {
	if testing.Short() {
		return 200
	}
	return 2000
}

func init() {
	// restarts runs a child again and again in one process, and says what that
	// has left in it.
	register("restarts", func(args []string) {
		n, err := strconv.Atoi(args[0])
		if err != nil {
			panic(err)
		}
		signals := hold()
		runs := 0
		s, err := New(Options{
			Argv:      args[1:],
			Restart:   Restart{Policy: RestartAlways, Max: n - 1, Delay: time.Microsecond, DelayMax: time.Microsecond, GoodRun: time.Hour},
			Pdeathsig: unix.SIGKILL,
			Notify: func(e Event) {
				switch {
				case e.Kind == Ended && e.Exit.Code != 3:
					fmt.Println("wrong:", e.Exit)
				case e.Kind == Ended:
					runs++
				}
			},
		}, signals)
		if err != nil {
			panic(err)
		}
		before := openFiles()
		ready := make(chan struct{})
		close(ready)
		fmt.Println("ready", os.Getpid())
		if _, err := s.Run(context.Background(), ready); err != nil {
			panic(err)
		}
		var status unix.WaitStatus
		_, err = unix.Wait4(-1, &status, unix.WNOHANG, nil)
		threads, _ := os.ReadDir("/proc/self/task")
		fmt.Printf("%d runs, %d files more, children: %v, few threads: %v\n", runs, openFiles()-before, err, len(threads) <= 12)
	})
}

func openFiles() int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	return len(names)
}

// Many runs in one process leave nothing behind: no zombie, no descriptor, no
// thread.
func TestSoakRestarts(t *testing.T) {
	t.Parallel()
	n := cycles()
	p := start(t, command(t, helper(t, "restarts", strconv.Itoa(n), "/bin/sh", "-c", "exit 3")...))
	pid := p.ready()
	// harmless to a command that does not expect them
	harmless := []syscall.Signal{unix.SIGWINCH, unix.SIGCONT, unix.SIGURG, unix.SIGCHLD}
	stop := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
				unix.Kill(pid, harmless[rand.IntN(len(harmless))])
			}
		}
	})
	got := p.line()
	close(stop)
	sender.Wait()
	if want := fmt.Sprintf("%d runs, 0 files more, children: no child processes, few threads: true", n); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.status()
}

// Processes that start, and end in different ways, some told to by a signal at a
// random moment: each status is right, and nothing is left.
func TestSoakProcesses(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	argvs := map[string][]string{
		"exit":  wrapped(t, "/bin/sh", "-c", "exit 3"),
		"death": wrapped(t, "/bin/sh", "-c", "kill -USR1 $$"),
		"wait":  wrapped(t, "/bin/sleep", "1000"),
	}
	var workers sync.WaitGroup
	todo := make(chan uint64)
	for range 4 {
		workers.Go(func() {
			for n := range todo {
				soakOne(t, rand.New(rand.NewPCG(seed, n)), dir, argvs)
			}
		})
	}
	for n := range cycles() / 2 {
		todo <- uint64(n)
	}
	close(todo)
	workers.Wait()
	for _, pid := range pids() {
		if cwd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd"); err == nil && cwd == dir {
			t.Errorf("process %d is left", pid)
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

func soakOne(t *testing.T, rnd *rand.Rand, dir string, argvs map[string][]string) {
	kind := []string{"exit", "death", "wait", "wait"}[rnd.IntN(4)]
	want := map[string]string{"exit": "exit 3", "death": "signal USR1"}[kind]
	argv := argvs[kind]
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), helperEnv+"=1")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	if kind == "wait" {
		sig := []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGALRM}[rnd.IntN(4)]
		want = "signal " + SignalName(sig)
		// At first nobody may be listening (and dies of it, as it should, or in the case of
		// ALRM has no meaning to the Go runtime yet), so send it until it is heard.
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			cmd.Wait()
		}()
		timer := time.NewTimer(time.Duration(rnd.IntN(12_000)) * time.Microsecond)
		defer timer.Stop()
		for deadline := time.Now().Add(patience); ; {
			select {
			case <-ended:
			case <-timer.C:
				cmd.Process.Signal(sig)
				timer.Reset(50 * time.Millisecond)
				if time.Now().After(deadline) {
					cmd.Process.Kill()
				}
				continue
			}
			break
		}
	} else {
		cmd.Wait()
	}
	if got := statusOf(cmd.ProcessState); got != want {
		t.Errorf("%s: status = %s, want %s", kind, got, want)
	}
}
