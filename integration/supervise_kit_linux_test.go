package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// What the tests of the wrapped command's life share: brs-exec with a source that
// needs no network, commands that report what reaches them, and terminals.
//
// The commands are this test binary again: superviseHelper names the part that
// it plays. One that is still there after helperLife ends itself and says BUG.

const (
	superviseHelper = "BRS_TEST_SUPERVISE_HELPER"
	helperLife      = 2 * patience
)

var superviseHelpers = map[string]func(args []string){"report": report, "exec": execRaw, "orphans": orphans, "count": count}

// Before TestMain, which is for tests.
func init() {
	if os.Getenv(superviseHelper) == "" || len(os.Args) < 2 || superviseHelpers[os.Args[1]] == nil {
		return
	}
	time.AfterFunc(helperLife, func() {
		fmt.Fprintf(os.Stderr, "BUG: %q is still alive after %v\n", os.Args, helperLife)
		os.Exit(99)
	})
	superviseHelpers[os.Args[1]](os.Args[2:])
	os.Exit(0)
}

// report prints "ready PID" and then the name of each signal that it gets; USR2
// ends it with code 7. Arguments are the signals that it does not catch.
func report(args []string) {
	c := make(chan os.Signal, 1000)
	left := map[string]bool{"SIGURG": true, "SIGPIPE": true, "SIGCHLD": true, "SIGPROF": true}
	for _, name := range args {
		left[name] = true
	}
	for n := syscall.Signal(1); n < 65; n++ {
		if !left[unix.SignalName(n)] {
			signal.Notify(c, n)
		}
	}
	fmt.Println("ready", os.Getpid())
	for sig := range c {
		name := unix.SignalName(sig.(syscall.Signal))
		if name == "" {
			name = strconv.Itoa(int(sig.(syscall.Signal)))
		}
		fmt.Println(name)
		if sig == unix.SIGUSR2 {
			os.Exit(7)
		}
	}
}

// execRaw becomes another command, after what its arguments say: "block:N",
// "ignore:N" (signal numbers), "env:ENTRY" (the environment is these alone),
// "--" and the command.
func execRaw(args []string) {
	runtime.LockOSThread()
	env := os.Environ()
	for i, arg := range args {
		kind, rest, _ := strings.Cut(arg, ":")
		n, _ := strconv.Atoi(rest)
		switch kind {
		case "block":
			var set unix.Sigset_t
			set.Val[0] = 1 << (n - 1)
			if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil); err != nil {
				panic(err)
			}
		case "ignore":
			signal.Ignore(syscall.Signal(n))
		case "env":
			env = append(env, rest)
		case "--":
			panic(syscall.Exec(args[i+1], args[i+1:], env))
		}
	}
}

// orphans leaves 50 and prints "reaped" once not even a zombie is left.
func orphans([]string) {
	var list []int
	for range 50 {
		out, err := exec.Command("/bin/sh", "-c", "sleep 0.3 >/dev/null 2>&1 & echo $!").Output()
		if err != nil {
			panic(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
		if err != nil {
			panic(err)
		}
		list = append(list, pid)
	}
	for _, pid := range list {
		for stat(pid) != nil {
			unix.Poll(nil, 1)
		}
	}
	fmt.Println("reaped")
}

// stat returns the fields of proc(5)'s /proc/PID/stat after the command's name,
// from the state on; nil if there is no such process.
func stat(pid int) []string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
}

// Indexes of what stat returns.
const (
	statState = iota
	statParent
	statGroup
	statSession
	statTTY
	statForeground
)

func statNumber(pid, field int) int {
	if f := stat(pid); len(f) > field {
		n, _ := strconv.Atoi(f[field])
		return n
	}
	return 0
}

func parentOf(pid int) int { return statNumber(pid, statParent) }

// ended tells that a process is gone, or all but reaped.
func ended(pid int) bool {
	f := stat(pid)
	return f == nil || f[statState] == "Z"
}

func stopped(pid int) bool {
	f := stat(pid)
	return f != nil && f[statState] == "T"
}

func allPIDs() []int {
	var list []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

// until polls for what nothing announces.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in %v: %s", patience, what)
		}
		<-tick.C
	}
}

// plainEnv is an environment in which brs-exec starts at once, and reaches nothing
// outside.
func plainEnv(t testing.TB) []string {
	t.Helper()
	home := t.TempDir()
	for dir := home; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home, "XDG_RUNTIME_DIR=" + home,
		"AWS_CONFIG_FILE=" + home + "/config", "AWS_SHARED_CREDENTIALS_FILE=" + home + "/credentials",
		"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=not-a-secret-of-anything", "AWS_SESSION_TOKEN=token",
		"AWS_REGION=eu-central-1", "AWS_EC2_METADATA_DISABLED=true", superviseHelper + "=1",
	}
}

// quietly returns the argv that runs argv under brs-exec.
func quietly(t testing.TB, argv ...string) []string {
	t.Helper()
	return append([]string{brsExec(t), "--quiet", "--"}, argv...)
}

// played returns the argv that runs a helper.
func played(t testing.TB, name string, args ...string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{self, name}, args...)
}

// live is a running command whose output is read line by line.
type live struct {
	*exec.Cmd
	t      testing.TB
	stdin  *os.File
	lines  chan string
	stderr string // a file: a pipe may be held by what outlives the command
}

func plainCommand(t testing.TB, argv ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = plainEnv(t), t.TempDir()
	return cmd
}

func run(t testing.TB, cmd *exec.Cmd) *live {
	t.Helper()
	p := &live{Cmd: cmd, t: t, lines: make(chan string, 1000), stderr: filepath.Join(t.TempDir(), "stderr")}
	file := func(f *os.File, err error) *os.File {
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if cmd.Stderr == nil {
		stderr := file(os.Create(p.stderr))
		defer stderr.Close()
		cmd.Stderr = stderr
	}
	if cmd.Stdin == nil {
		r, w, err := os.Pipe()
		cmd.Stdin, p.stdin = file(r, err), w
		defer r.Close()
		t.Cleanup(func() { w.Close() })
	}
	r, w, err := os.Pipe()
	cmd.Stdout = file(w, err)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() {
		defer close(p.lines)
		defer r.Close()
		scan := bufio.NewScanner(r)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			p.lines <- scan.Text()
		}
	}()
	t.Cleanup(func() {
		if p.ProcessState == nil {
			p.Process.Kill()
			p.Wait()
		}
		if t.Failed() {
			t.Logf("%q printed on standard error:\n%s", p.Args, p.errors())
		}
	})
	return p
}

func (p *live) errors() string {
	b, _ := os.ReadFile(p.stderr)
	return string(b)
}

func (p *live) line() string {
	p.t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			p.t.Fatalf("the output of %q ended", p.Args)
		}
		return line
	case <-time.After(patience):
		p.t.Fatalf("no line from %q in %v", p.Args, patience)
	}
	panic("unreachable")
}

func (p *live) expect(want string) {
	p.t.Helper()
	if got := p.line(); got != want {
		p.t.Fatalf("%q printed %q, want %q", p.Args, got, want)
	}
}

// ready waits for the reporting helper, and returns its pid.
func (p *live) ready() int {
	p.t.Helper()
	line := p.line()
	pid, err := strconv.Atoi(strings.TrimPrefix(line, "ready "))
	if err != nil {
		p.t.Fatalf("%q printed %q, want ready PID", p.Args, line)
	}
	return pid
}

func (p *live) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// status waits for the end and returns "exit N" or "signal NAME".
func (p *live) status() string {
	p.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Wait()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		p.Process.Kill()
		<-done
		p.t.Fatalf("%q did not end in %v", p.Args, patience)
	}
	return statusOf(p.Cmd)
}

func (p *live) ends(want string) {
	p.t.Helper()
	if got := p.status(); got != want {
		p.t.Errorf("status of %q = %s, want %s", p.Args, got, want)
	}
}

func statusOf(cmd *exec.Cmd) string {
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case ws.Signaled() && ws.CoreDump():
		return "signal " + unix.SignalName(ws.Signal()) + " (core dumped)"
	case ws.Signaled():
		return "signal " + unix.SignalName(ws.Signal())
	}
	return "exit " + strconv.Itoa(ws.ExitStatus())
}

// asPID1 returns the argv that runs argv as PID 1 of a new namespace.
func asPID1(t testing.TB, argv ...string) []string {
	t.Helper()
	unshare := []string{"unshare", "--pid", "--fork", "--mount-proc", "--kill-child"}
	if out, err := exec.Command(unshare[0], append(unshare[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("a new PID namespace is not permitted: %v: %s", err, out)
	}
	return append(unshare, argv...)
}

// childOf waits for a process to have a child.
func childOf(t testing.TB, pid int) (child int) {
	t.Helper()
	until(t, fmt.Sprintf("%d has a child", pid), func() bool {
		for _, other := range allPIDs() {
			if parentOf(other) == pid {
				child = other
			}
		}
		return child != 0
	})
	return child
}

// screen is a pseudo-terminal with bash or another command on it.
type screen struct {
	t    testing.TB
	pty  *os.File
	cmd  *exec.Cmd
	mu   sync.Mutex // guards the following
	seen string
	mark int // what of it expect has consumed
}

// onTerminal starts argv on a new terminal, of which it becomes the session
// leader unless somebody else is to.
func onTerminal(t testing.TB, lead bool, env []string, argv ...string) *screen {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	// A typed signal discards output that is on its way, and with it the answers.
	modes, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	modes.Lflag |= unix.NOFLSH
	if err := unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, modes); err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, pty: pollable(t, master), cmd: plainCommand(t, argv...)}
	s.cmd.Env = append(append(s.cmd.Env, "TERM=dumb", "PS1=PROMPT> ", "HISTFILE="), env...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: lead}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := s.pty.Read(buf)
			s.mu.Lock()
			s.seen += string(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		for _, pid := range allPIDs() {
			if statNumber(pid, statSession) == s.cmd.Process.Pid {
				unix.Kill(pid, unix.SIGKILL)
			}
		}
		if s.cmd.ProcessState == nil {
			s.cmd.Wait()
		}
		s.pty.Close()
		<-read
		if t.Failed() {
			t.Logf("the terminal:\n%s", s.seen)
		}
	})
	return s
}

// pollable returns f in a form whose Close does not wait for a Read.
func pollable(t testing.TB, f *os.File) *os.File {
	t.Helper()
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), f.Name())
}

// shell starts an interactive bash with job control. $W runs brs-exec, $R the
// reporting helper, $T that with TSTP left alone.
func shell(t testing.TB) *screen {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		missing(t, "bash")
	}
	s := onTerminal(t, true, []string{
		"W=" + strings.Join(quietly(t), " "),
		"R=" + strings.Join(played(t, "report"), " "),
		"T=" + strings.Join(played(t, "report", "SIGTSTP"), " "),
	}, "bash", "--norc", "--noprofile", "-i")
	s.expect("PROMPT> ")
	return s
}

func (s *screen) typed(text string) {
	s.t.Helper()
	if _, err := s.pty.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// expect waits for text and returns what came before it.
func (s *screen) expect(text string) (before string) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("the terminal shows %q", text), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		i := strings.Index(s.seen[s.mark:], text)
		if i < 0 {
			return false
		}
		before = s.seen[s.mark : s.mark+i]
		s.mark += i + len(text)
		return true
	})
	return before
}

// do types a line and expects text in its output.
func (s *screen) do(line, want string) {
	s.t.Helper()
	s.typed(line + "\n")
	s.expect("\r\n") // the echo
	s.expect(want)
}

// interrupt types Ctrl-C until the answer is seen: an editor of lines that is about
// to wait for the next key sees it only with that key.
func (s *screen) interrupt(want string) {
	s.t.Helper()
	var last time.Time
	until(s.t, fmt.Sprintf("Ctrl-C shows %q", want), func() bool {
		s.mu.Lock()
		seen := strings.Contains(s.seen[s.mark:], want)
		s.mu.Unlock()
		if !seen && time.Since(last) > 2*time.Second {
			last = time.Now()
			s.typed("\x03")
		}
		return seen
	})
	s.expect(want)
}

// pid waits for the reporting helper, and returns its pid.
func (s *screen) pid() int {
	s.t.Helper()
	s.expect("ready ")
	pid, err := strconv.Atoi(s.expect("\r\n"))
	if err != nil {
		s.t.Fatal(err)
	}
	return pid
}

// nothingElse fails the test if the helper under brs-exec has seen more signals
// than were expected. It sends USR1 to brs-exec, behind all that may still come.
func (s *screen) nothingElse(child int) {
	s.t.Helper()
	unix.Kill(parentOf(child), unix.SIGUSR1)
	before := s.expect("SIGUSR1\r\n")
	if more := strings.Fields(strings.NewReplacer("^C", "", `^\`, "", "^Z", "", "PROMPT>", "").Replace(before)); len(more) > 0 {
		s.t.Errorf("the command saw also %v", more)
	}
}

// all is everything that the terminal has shown.
func (s *screen) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}
