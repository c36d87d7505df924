package job

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// TestWhoHasHadASignal: what the child that shares our group has had already is not
// forwarded to it.
func TestWhoHasHadASignal(t *testing.T) {
	session, err := unix.Getsid(0)
	if err != nil {
		t.Fatal(err)
	}
	us, elsewhere := os.Getpid(), 1<<30
	tests := []struct {
		name string
		info siginfo.Info
		want bool
	}{
		{"Ctrl-C", siginfo.Info{Signal: unix.SIGINT, Origin: siginfo.Kernel}, true},
		{"Ctrl-\\", siginfo.Info{Signal: unix.SIGQUIT, Origin: siginfo.Kernel}, true},
		{"Ctrl-Z", siginfo.Info{Signal: unix.SIGTSTP, Origin: siginfo.Kernel}, true},
		{"new size", siginfo.Info{Signal: unix.SIGWINCH, Origin: siginfo.Kernel}, true},
		{"hangup", siginfo.Info{Signal: unix.SIGHUP, Origin: siginfo.Kernel}, true},
		{"continued as an orphaned group", siginfo.Info{Signal: unix.SIGCONT, Origin: siginfo.Kernel}, true},
		{"a timer", siginfo.Info{Signal: unix.SIGALRM, Origin: siginfo.Kernel}, false},
		{"kill INT", siginfo.Info{Signal: unix.SIGINT, Origin: siginfo.Process, PID: us}, false},
		{"kill HUP", siginfo.Info{Signal: unix.SIGHUP, Origin: siginfo.Process, PID: us}, false},
		{"kill TERM", siginfo.Info{Signal: unix.SIGTERM, Origin: siginfo.Process, PID: us}, false},
		{"a member stops its group", siginfo.Info{Signal: unix.SIGTSTP, Origin: siginfo.Process, PID: us}, true},
		{"another process stops us", siginfo.Info{Signal: unix.SIGTSTP, Origin: siginfo.Process, PID: elsewhere}, false},
		{"the shell continues the group", siginfo.Info{Signal: unix.SIGCONT, Origin: siginfo.Process, PID: session}, true},
		{"another process continues us", siginfo.Info{Signal: unix.SIGCONT, Origin: siginfo.Process, PID: elsewhere}, false},
		{"INT in the background", siginfo.Info{Signal: unix.SIGINT}, false}, // the terminal's would not have come
		{"CONT in the background", siginfo.Info{Signal: unix.SIGCONT}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := &Job{group: unix.Getpgrp(), tty: &terminal{fd: -1}}
			if got := j.reachedGroup(tt.info); got != tt.want {
				t.Errorf("at a terminal: %v, want %v", got, tt.want)
			}
			if j.tty = nil; j.reachedGroup(tt.info) {
				t.Error("without a terminal nobody but us has been told")
			}
		})
	}
}

// leads makes the test binary the leader of a session on a terminal that starts
// commands, in place of running tests.
const leads = "JOB_TEST_LEADS"

func TestMain(m *testing.M) {
	if os.Getenv(leads) != "" {
		leader()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// leader says who has the terminal while a command runs, and after it; and after one
// that cannot be started, which may have taken it before.
func leader() {
	has := func(group int) bool {
		pgrp, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
		return err == nil && pgrp == group
	}
	ours := unix.Getpgrp()
	if _, err := Start(Spec{Path: "/no/such/command", Argv: []string{"x"}}); err == nil {
		fmt.Println("what is not there is started")
	}
	fmt.Println("not started: ours", has(ours))
	j, err := Start(Spec{Path: "/bin/cat", Argv: []string{"cat"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("started: own group", j.OwnGroup(), "foreground", has(j.Pid()))
	var status unix.WaitStatus
	_ = j.SignalGroup(unix.SIGTERM)
	if _, err := unix.Wait4(j.Pid(), &status, 0, nil); err != nil || status.Signal() != unix.SIGTERM {
		fmt.Println("ended:", status, err)
	}
	j.Ended()
	fmt.Println("ended: ours", has(ours))
}

func TestTerminalComesBack(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), leads+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	var got strings.Builder
	io.Copy(&got, master) // until the session ends
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	want := "not started: ours true\r\nstarted: own group true foreground true\r\nended: ours true\r\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestGroupOf: the name of a program may look like the fields behind it.
func TestGroupOf(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	program := filepath.Join(t.TempDir(), "a) Z 1 1 (")
	text, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, text, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "1000")
	cmd.Args[0] = sleep // which may be one of many in a program, by its name
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	if group, ok := groupOf(strconv.Itoa(pid)); !ok || group != pid {
		t.Errorf("group = %d, %v, want %d", group, ok, pid)
	}
	cmd.Process.Kill()
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if _, ok := groupOf(strconv.Itoa(pid)); ok {
		t.Error("one that only waits to be reaped is in a group")
	}
	cmd.Wait()
	if _, ok := groupOf(strconv.Itoa(pid)); ok {
		t.Error("one that is gone is in a group")
	}
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("1 (a) S 0 1 1"))
	f.Add([]byte("1 (a) Z 1 1 () S 0 1 1\n"))
	f.Add([]byte(")"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, stat []byte) {
		for _, field := range statFields(stat) {
			if len(field) == 0 || bytes.ContainsAny(field, ") \n") {
				t.Errorf("field %q of %q", field, stat)
			}
		}
	})
}

func TestInherited(t *testing.T) {
	var given, ours [2]int
	if err := unix.Pipe2(given[:], 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Pipe2(ours[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, fd := range Inherited() {
		if slices.Contains([]int{0, 1, 2, given[0], given[1], ours[0], ours[1]}, fd) {
			got = append(got, fd)
		}
	}
	slices.Sort(got)
	want := []int{given[0], given[1]}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, fd := range slices.Concat(given[:], ours[:]) {
		unix.Close(fd)
	}
}

// TestInGroup: what has ended is no member of its group, also before it is waited for.
func TestInGroup(t *testing.T) {
	cmd := exec.Command("cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	check := func(when string, want bool) {
		t.Helper()
		if got := inGroup(pid, pid); got != want {
			t.Errorf("%s: in its own group: %v, want %v", when, got, want)
		}
		if inGroup(pid, unix.Getpgrp()) {
			t.Errorf("%s: in ours", when)
		}
	}
	check("while it lives", true)
	in.Close()
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	check("a zombie", false)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	check("when it is gone", false)
}

// TestHide: it is undone for one that was open to others before, and for no other.
func TestHide(t *testing.T) {
	dumpable := func() int {
		n, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := dumpable()
	t.Cleanup(func() { unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(first), 0, 0, 0) })
	for before := range 2 {
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(before), 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		show := Hide()
		if n := dumpable(); n != 0 {
			t.Errorf("hidden: dumpable = %d", n)
		}
		show()
		if n := dumpable(); n != before {
			t.Errorf("shown again: dumpable = %d, want %d", n, before)
		}
	}
}
