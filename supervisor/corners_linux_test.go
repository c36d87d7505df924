package supervisor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// What happens between the states that are easy to think of: a part of ours is
// gone, a signal is lost, the end comes in a pause.

// PID 1 of the namespace is a shell: if the stage is gone, the worker is its
// child, and so is an innocent process.
func TestOrphansOfAStageThatIsGone(t *testing.T) {
	t.Parallel()
	const killStage = "read _ _ _ stage _ </proc/$PPID/stat; kill -KILL $stage; exit 3"
	cmd := asInit(t, append([]string{"/bin/sh", "-c",
		`sleep 1000 >/dev/null 2>&1 & innocent=$!
		"$@" | cat # which holds until the worker has ended, too
		read _ _ state _ </proc/$innocent/stat; echo innocent: $state`, "sh"},
		wrapped(t, "/bin/sh", "-c", killStage)...)...)
	cmd.Env = append(cmd.Env, wrapOptions{Subreap: true, Options: Options{StopOrphans: 50 * time.Millisecond}}.env(t))
	p := start(t, cmd)
	p.expect("innocent: S")
	p.status()
}

func init() {
	// sink ignores real-time signals, and ends with code 3 when its standard input does.
	register("sink", func([]string) {
		for n := 35; n <= 64; n++ {
			signal.Ignore(syscall.Signal(n))
		}
		fmt.Println("ready", os.Getpid())
		os.Stdin.Read(make([]byte, 1))
		os.Exit(3)
	})
}

// In a flood of signals that which tells of the child's end is lost.
func TestEndInAFlood(t *testing.T) {
	for _, subreap := range []bool{false, true} {
		t.Run(fmt.Sprintf("subreaper %v", subreap), func(t *testing.T) {
			cmd := command(t, wrapped(t, helper(t, "sink")...)...)
			cmd.Env = append(cmd.Env, wrapOptions{Subreap: subreap}.env(t))
			p := start(t, cmd)
			child := p.ready()
			last := child // whose end we hear of
			if subreap {
				last = parent(child)
			}
			var senders sync.WaitGroup
			began := make(chan struct{})
			for i := range 2 {
				senders.Go(func() {
					for n := 0; !gonePid(last); n++ {
						for range 1000 {
							unix.Kill(p.Process.Pid, unix.Signal(40))
						}
						if i == 0 && n == 10 {
							close(began)
						}
					}
				})
			}
			<-began
			p.stdin.Close()
			senders.Wait()
			if got := p.status(); got != "exit 3" {
				t.Errorf("status = %s, want exit 3", got)
			}
		})
	}
}

// TERM ends a wrapper that becomes a subreaper, or what it is by then, at any moment.
func TestEarlySignalsWithASubreaper(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rounds := 200
	if testing.Short() {
		rounds = 40
	}
	argv, env := wrapped(t, "/bin/sleep", "1000"), wrapOptions{Subreap: true}.env(t)
	dir := t.TempDir()
	once := func(sig syscall.Signal, after time.Duration) {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env, cmd.Dir = append(os.Environ(), helperEnv+"=1", env), dir
		if err := cmd.Start(); err != nil {
			t.Error(err)
			return
		}
		timer := time.NewTimer(after)
		<-timer.C
		cmd.Process.Signal(sig)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			cmd.Wait()
		}()
		select {
		case <-ended:
		case <-time.After(patience):
			killDescendants(cmd.Process.Pid)
			<-ended
			t.Errorf("%s after %v is lost", SignalName(sig), after)
			return
		}
		if got, want := statusOf(cmd.ProcessState), "signal "+SignalName(sig); got != want {
			t.Errorf("status after %v = %s, want %s", after, got, want)
		}
	}
	var workers sync.WaitGroup
	for i := range 4 {
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		workers.Go(func() {
			for range rounds / 4 {
				once([]syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP}[rnd.IntN(3)], time.Duration(rnd.IntN(20_000))*time.Microsecond)
			}
		})
	}
	workers.Wait()
}

func killDescendants(pid int) {
	for _, p := range append(descendants(pid, 0), pid) {
		unix.Kill(p, unix.SIGKILL)
	}
}

// A wrapper and its command that were both stopped from elsewhere go on with
// the shell's bg, though the wrapper hears of the command's stop only then.
func TestBackgroundOfAStoppedPair(t *testing.T) {
	t.Parallel()
	for _, subreap := range []bool{false, true} {
		c := bash(t, wrapOptions{Subreap: subreap}.env(t))
		for range 5 {
			c.typed("$W $R\n")
			child := c.pid()
			wrapper := []int{parent(child)}
			if subreap {
				wrapper = append(wrapper, parent(wrapper[0]))
			}
			for _, pid := range append(wrapper, child) {
				unix.Kill(pid, unix.SIGSTOP)
			}
			c.expect("Stopped")
			c.expect("PROMPT> ")
			eventually(t, "the command is stopped", func() bool { return stateOf(child) == 'T' })
			c.typed("bg\n")
			c.expect("CONT\r\n")
			unix.Kill(child, unix.SIGUSR2)
			c.expect("USR2\r\n")
			c.typed("wait\n")
			c.expect("PROMPT> ")
		}
	}
}

// The end may come in the pause between two runs.
func TestEndInAPause(t *testing.T) {
	t.Parallel()
	policy := Restart{Policy: RestartAlways, Delay: time.Hour, DelayMax: time.Hour}
	for _, tt := range []struct {
		name         string
		sig          syscall.Signal // ALRM cancels
		want, report string
	}{
		{"cancelled", unix.SIGALRM, "exit 5", "exit status 5 stopped=true"},
		{"TERM", unix.SIGTERM, "signal TERM", "signal TERM stopped=false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := wrapOptions{Subreap: true, Events: "ended", Options: Options{Restart: policy, StopOrphans: 50 * time.Millisecond}}
			p, report := withOptions(t, o, "/bin/sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!; exit 5")
			orphan, err := strconv.Atoi(p.line())
			if err != nil {
				t.Fatal(err)
			}
			p.expect("ended: exit status 5, again after 1h0m0s")
			p.signal(tt.sig)
			if got := p.status(); got != tt.want {
				t.Errorf("status = %s, want %s", got, tt.want)
			}
			if got := report(); got != tt.report {
				t.Errorf("exit = %s, want %s", got, tt.report)
			}
			if !gonePid(orphan) {
				t.Error("an orphan lives")
				unix.Kill(orphan, unix.SIGKILL)
			}
		})
	}
}

// A TERM that is never passed on does not end the policy either.
func TestDroppedTermIsDropped(t *testing.T) {
	t.Parallel()
	p, _ := withOptions(t, wrapOptions{RestartOn: "VTALRM", Events: "ended", Options: Options{
		Rewrite: map[syscall.Signal]syscall.Signal{unix.SIGTERM: 0},
		Restart: Restart{Policy: RestartAlways, Delay: time.Millisecond, DelayMax: time.Millisecond},
	}}, "/bin/sh", "-c", "echo ready $RUN; read x; exit 3")
	p.expect("ready 1")
	p.signal(unix.SIGTERM)
	p.signal(unix.SIGWINCH)
	p.stdin.Write([]byte("x\n"))
	p.expect("ended: exit status 3, again after 1ms")
	p.expect("ready 2")
	p.signal(unix.SIGINT)
	if got := p.status(); got != "signal INT" {
		t.Errorf("status = %s, want signal INT", got)
	}
}

func init() {
	// root becomes root for good, as sudo does, and then another helper.
	register("root", func(args []string) {
		if err := unix.Setresuid(0, 0, 0); err != nil {
			panic(err)
		}
		helpers[args[0]](args[1:])
	})
}

// asNobody returns a command that runs argv as a user without rights, who may run
// a copy of the test binary. Where "setuid" stands for the test binary, the copy is
// one that runs as root.
func asNobody(t testing.TB, argv ...string) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("NOT RUN: needs root, to be two users")
	}
	needsStatic(t)
	dir, err := os.MkdirTemp("/tmp", "supervisor-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	plain, setuid := filepath.Join(dir, "plain"), filepath.Join(dir, "setuid")
	for _, err := range []error{
		os.Chmod(dir, 0o755), os.WriteFile(plain, program, 0o755), os.WriteFile(setuid, program, 0o755), os.Chmod(setuid, 0o755|os.ModeSetuid),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, word := range argv {
		switch word {
		case self(t):
			argv[i] = plain
		case "setuid":
			argv[i] = setuid
		}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), helperEnv+"=1")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return cmd
}

// A command that runs as another user may not be signalled. It goes on, and so
// do we.
func TestCommandOfAnotherUser(t *testing.T) {
	t.Parallel()
	use("root", "report")
	cmd := asNobody(t, wrapped(t, "setuid", "root", "report", "eof", "default:CONT")...)
	cmd.Env = append(cmd.Env, wrapOptions{CancelOn: "ALRM", Events: "refused stopping killed unkillable", Options: Options{StopTimeout: 10 * time.Millisecond}}.env(t))
	p := start(t, cmd)
	p.ready()
	p.signal(unix.SIGUSR1)
	p.expect("refused: USR1")
	p.signal(unix.SIGTERM) // refused as well, and not told again
	p.signal(unix.SIGALRM)
	p.expect("stopping")
	p.expect("unkillable: operation not permitted")
	p.stdin.Close()
	if got := p.status(); got != "exit 7" {
		t.Errorf("status = %s, want exit 7", got)
	}
}

// What was taken out of the command's environment is still in ours, and in our
// stage's: the command is not to find it there.
func TestCommandCannotReadUs(t *testing.T) {
	t.Parallel()
	// The stage has forgotten its environment, and so its standard error can be opened
	// as that of any other process, which containers do with /proc/1/fd/2.
	script := `read _ _ _ above _ </proc/$PPID/stat
		if cat /proc/$PPID/environ >/dev/null 2>&1; then echo reads; else echo shut; fi
		tr -d '\0' </proc/$above/environ | wc -c
		readlink /proc/$above/fd/2 >/dev/null && echo open
		cat /proc/self/environ >/dev/null && echo itself | cat /proc/self/fd/0
		ulimit -c`
	cmd := asNobody(t, append([]string{"/bin/sh", "-c", `ulimit -Sc 1234 && exec "$@"`, "sh"}, wrapped(t, "/bin/sh", "-c", script)...)...)
	cmd.Env = append(cmd.Env, wrapOptions{Subreap: true}.env(t))
	p := start(t, cmd)
	p.stdin.Close()
	for _, line := range []string{"shut", "0", "open", "itself", "1234"} {
		p.expect(line)
	}
	p.status()
}

// What the stage shows to whoever may look is not in its memory either: neither what
// Go has of its environment, nor what was made of it for the worker.
func TestStageForgets(t *testing.T) {
	t.Parallel()
	needsStatic(t) // the race detector keeps a copy of its own
	for _, size := range []int{0, 300, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			const secret = "wJalrXUtnFEMI"
			cmd := command(t, wrapped(t, "/bin/sh", "-c", `echo ${#SECRET}; read x`)...)
			value := secret + strings.Repeat("x", size)
			cmd.Env = append(cmd.Env, "SECRET="+value, wrapOptions{Subreap: true}.env(t), "LAST="+secret)
			p := start(t, cmd)
			p.expect(strconv.Itoa(len(value))) // the command has it
			eventually(t, "the stage has forgotten, and is open", func() bool {
				_, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/2", p.Process.Pid))
				return err == nil && timesInMemory(t, p.Process.Pid, secret) == 0
			})
			p.stdin.Close()
			p.status()
		})
	}
}

// timesInMemory counts text in what a process can write to.
func timesInMemory(t *testing.T, pid int, text string) (n int) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") || to-from > 1<<30 {
			continue // as large is what the race detector only reserves
		}
		bytes := make([]byte, to-from)
		read, _ := memory.ReadAt(bytes, from)
		n += strings.Count(string(bytes[:read]), text)
	}
	return n
}

func init() {
	// fatal runs a command, and has ABRT act on this process as it does at the end of a
	// crash with GOTRACEBACK=crash, which would take ten seconds.
	register("fatal", func([]string) {
		signals := hold()
		s, err := New(Options{Argv: []string{os.Args[0], "report", "eof"}, Notify: func(e Event) {
			var act [4]uint64 // struct sigaction: the default
			_, _, errno := unix.Syscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGABRT), uintptr(unsafe.Pointer(&act)), 0, 8, 0, 0)
			fmt.Println("default action:", errno == 0)
		}}, signals)
		if err != nil {
			panic(err)
		}
		ready := make(chan struct{})
		close(ready)
		s.Run(context.Background(), ready)
	})
}

// A crash of ours leaves no core, which would hold credentials.
func TestNoCore(t *testing.T) {
	t.Parallel()
	cmd := command(t, append([]string{"/bin/sh", "-c", `ulimit -c unlimited && exec "$@"`, "sh"}, helper(t, "fatal")...)...)
	p := start(t, cmd)
	for _, line := range []string{p.line(), p.line()} { // one of them is the command's
		if line != "default action: true" && !strings.HasPrefix(line, "ready ") {
			t.Fatalf("printed %q", line)
		}
	}
	p.signal(unix.SIGABRT)
	if got := p.status(); got != "signal ABRT" {
		t.Errorf("status = %s, want signal ABRT", got)
	}
	if files, err := os.ReadDir(cmd.Dir); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	p.stdin.Close()
}

func init() {
	// undying dies of a signal that nobody dies of, and says whether a core would
	// be left.
	register("undying", func([]string) {
		siginfo.Die(unix.SIGWINCH)
		n, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		fmt.Println("dumpable:", n, err)
	})
}

// Where cores go to a program, the kernel does not heed their limit.
func TestDeathLeavesNoCore(t *testing.T) {
	t.Parallel()
	p := start(t, command(t, helper(t, "undying")...))
	p.expect("dumpable: 0 <nil>")
}

func init() {
	// stuck holds signals, and is then busy for ever before it has a command.
	register("stuck", func(args []string) {
		signals := hold()
		signals.AtEnd(func() { fmt.Println("first") })
		signals.AtEnd(func() { fmt.Println("second") })
		forget := signals.AtEnd(func() { fmt.Println("never") })
		forget()
		if args[0] == "before" {
			signals.BeforeRun(context.Background(), func(ctx context.Context) error {
				fmt.Println("held")
				<-ctx.Done()
				fmt.Println("interrupted")
				return ctx.Err()
			})
		}
		fmt.Println("held")
		syscall.Read(int(os.Stdin.Fd()), make([]byte, 1))
	})
}

// Whatever we are busy with, we can be ended.
func TestEndBeforeRun(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP} {
		for _, what := range []string{"read", "before"} {
			t.Run(SignalName(sig)+" "+what, func(t *testing.T) {
				t.Parallel()
				p := start(t, command(t, helper(t, "stuck", what)...))
				p.expect("held")
				p.signal(unix.SIGWINCH)
				p.signal(unix.SIGUSR1)
				p.signal(sig)
				if what == "before" {
					p.expect("interrupted")
				}
				p.expect("second")
				p.expect("first")
				if got, want := p.status(), "signal "+SignalName(sig); got != want {
					t.Errorf("status = %s, want %s", got, want)
				}
				if line, ok := <-p.lines; ok {
					t.Errorf("one more line: %q", line)
				}
			})
		}
	}
}

// Who can only set our environment makes us nothing by it.
func TestMarkerOfNoStage(t *testing.T) {
	t.Parallel()
	for _, marker := range []string{"listen:/bin/false", "worker", "0", "3", "-1", "x"} {
		cmd := command(t, "/bin/sh", "-c", `echo 99 listen:/bin/false | { exec "$@" 3<&0 </dev/null; }`, "sh")
		cmd.Args = append(cmd.Args, wrapped(t, "/bin/sh", "-c", `echo "marker: $_BRS_EXEC_STAGE"`)...)
		cmd.Env = append(cmd.Env, "_BRS_EXEC_STAGE="+marker)
		p := start(t, cmd)
		p.expect("marker: ")
		if got := p.status(); got != "exit 0" {
			t.Errorf("%s: status = %s, want exit 0", marker, got)
		}
	}
}
