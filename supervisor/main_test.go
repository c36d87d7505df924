package supervisor

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
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

	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// The test binary impersonates many small programs: the wrapper under test
// ("wrap", which is what main does with this package), and the commands that
// run under it. A helper is registered in the file that uses it.
//
// No order is made by sleeping: helpers say what they have done on a pipe, and the
// tests wait for that. A helper that is still there after helperLife ends itself
// and says BUG.

const (
	helperEnv  = "SUPERVISOR_TEST_HELPER"
	optionsEnv = "SUPERVISOR_TEST_OPTIONS"
	helperLife = 3 * time.Minute
	patience   = 2 * time.Minute // for what should take milliseconds, and may be starved by other tests
)

var helpers = map[string]func(args []string){}

var used struct {
	sync.Mutex
	names map[string]bool
}

func register(name string, f func(args []string)) { helpers[name] = f }

func TestMain(m *testing.M) {
	if os.Getenv(helperEnv) == "" {
		catchAll()
		os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0") // else each helper takes a second to end
		used.names = map[string]bool{}
		code := m.Run()
		if code == 0 && allTestsRan() {
			for name := range helpers {
				if !used.names[name] {
					fmt.Fprintf(os.Stderr, "helper %q is not used by any test\n", name)
					code = 1
				}
			}
		}
		os.Exit(code)
	}
	time.AfterFunc(helperLife, func() {
		fmt.Fprintf(os.Stderr, "BUG: helper %q is still alive after %v\n", os.Args, helperLife)
		os.Exit(99)
	})
	f := helpers[os.Args[1]]
	if f == nil {
		fmt.Fprintf(os.Stderr, "BUG: no helper %q\n", os.Args[1])
		os.Exit(99)
	}
	f(os.Args[2:])
	os.Exit(0)
}

func allTestsRan() bool {
	for _, arg := range os.Args[1:] {
		for _, part := range []string{"-test.run", "-test.skip", "-test.short", "-test.list", "-test.fuzz", "-test.bench"} {
			if strings.HasPrefix(arg, part) && !strings.HasPrefix(arg, "-test.short=false") && arg != "-test.benchmem" {
				return false
			}
		}
	}
	return os.Getuid() == 0 // others skip some
}

// uncovered takes out what a helper with coverage complains about at its end.
func uncovered(out []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "warning: GOCOVERDIR not set") && !strings.HasPrefix(line, "error: coverage ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// catchAll makes the commands that tests start begin with the default action of each
// signal, whatever the tests are started with: nohup's HUP, a background job's INT.
func catchAll() {
	for _, sig := range forwarded() {
		if siginfo.IgnoredAtStart(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}

func self(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func use(names ...string) {
	used.Lock()
	defer used.Unlock()
	for _, name := range names {
		if helpers[name] != nil {
			used.names[name] = true
		}
	}
}

// helper returns the argv that runs a helper.
func helper(t testing.TB, name string, args ...string) []string {
	t.Helper()
	if helpers[name] == nil {
		t.Fatalf("no helper %q", name)
	}
	use(name)
	return append([]string{self(t), name}, args...)
}

// wrapped returns the argv that runs argv under the wrapper.
func wrapped(t testing.TB, argv ...string) []string {
	t.Helper()
	return append(helper(t, "wrap"), argv...)
}

// wrapOptions is how a test tells the wrapper its options.
type wrapOptions struct {
	Options
	NoEnviron *int   `json:"Environ,omitempty"` // functions don't go into JSON
	NoNotify  *int   `json:"Notify,omitempty"`
	CancelOn  string // a signal that, instead of being forwarded, cancels the context
	NotReady  bool   // never become ready
	Report    string // a file that gets the Exit as text
	Subreap   bool
	Held      bool   // say "held" before Run
	Events    string // the kinds of events to print
	RestartOn string // a signal that asks for a restart; RUN counts
}

func (o wrapOptions) env(t testing.TB) string {
	t.Helper()
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return optionsEnv + "=" + string(b)
}

func init() {
	// wrap is the wrapper: what main does.
	register("wrap", func(args []string) {
		signals := hold()
		var o wrapOptions
		if s := os.Getenv(optionsEnv); s != "" {
			if err := json.Unmarshal([]byte(s), &o); err != nil {
				fmt.Fprintln(os.Stderr, "BUG:", err)
				os.Exit(99)
			}
			if o.Subreap {
				if err := signals.Subreap(); err != nil {
					fmt.Fprintln(os.Stderr, "wrap:", err)
					os.Exit(125)
				}
			}
			os.Unsetenv(optionsEnv)
		}
		o.Argv = args
		o.Notify = func(e Event) {
			if s := describe(e); strings.Contains(o.Events, strings.SplitN(s, ":", 2)[0]) {
				fmt.Println(s)
			}
		}
		if o.RestartOn != "" {
			run := 0
			o.Environ = func() []string {
				run++
				return append(os.Environ(), "RUN="+strconv.Itoa(run))
			}
		}
		s, err := New(o.Options, signals)
		if err != nil {
			fmt.Fprintln(os.Stderr, "wrap:", err)
			os.Exit(125)
		}
		ctx, cancel := context.WithCancel(context.Background())
		if o.CancelOn != "" {
			sig, err := ParseSignal(o.CancelOn)
			if err != nil {
				panic(err)
			}
			divert(signals, sig, cancel)
		}
		if o.RestartOn != "" {
			sig, err := ParseSignal(o.RestartOn)
			if err != nil {
				panic(err)
			}
			divert(signals, sig, func() { s.Restart() })
		}
		if o.Held {
			fmt.Println("held")
		}
		ready := make(chan struct{})
		if !o.NotReady {
			close(ready)
		}
		exit, err := s.Run(ctx, ready)
		if err != nil {
			fmt.Fprintln(os.Stderr, "wrap:", err)
		}
		if o.Report != "" {
			os.WriteFile(o.Report, fmt.Appendf(nil, "%v stopped=%v", exit, exit.Stopped), 0o600)
		}
		exit.Raise()
		os.Exit(exit.Code)
	})
}

func describe(e Event) string {
	switch e.Kind {
	case Started:
		return "started"
	case Stopping:
		return "stopping"
	case Killed:
		return "killed"
	case Refused:
		return "refused: " + SignalName(e.Signal)
	case Unkillable:
		return "unkillable: " + e.Err.Error()
	}
	again := ""
	if e.Again {
		again = ", again after " + e.After.String()
	}
	return fmt.Sprintf("ended: %v%s", e.Exit, again)
}

// divert makes a signal call f instead of being forwarded.
func divert(s *Signals, sig syscall.Signal, f func()) {
	next := s.divert
	s.divert = func(got siginfo.Info) bool {
		if got.Signal != sig {
			return next != nil && next(got)
		}
		f()
		return true
	}
}

// hold is what main does: a signal before Run ends the process.
func hold() *Signals {
	signals := Hold(func(e Exit) {
		e.Raise()
		os.Exit(e.Code)
	})
	signals.HoldPipe()
	return signals
}

// process is a started command whose standard output is read line by line.
type process struct {
	*exec.Cmd
	t      testing.TB
	stdin  io.WriteCloser
	lines  chan string
	stderr stderrFile
}

// stderrFile is what went to standard error so far. A file, since a pipe may be held by
// processes that outlive the command.
type stderrFile struct{ *os.File }

func (f stderrFile) String() string {
	b, err := os.ReadFile(f.Name())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (f stderrFile) Len() int { return len(f.String()) }

func command(t testing.TB, argv ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), helperEnv+"=1")
	cmd.Dir = t.TempDir()
	return cmd
}

func start(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: cmd, t: t, lines: make(chan string, 10000)}
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p.stderr.File = file
	if cmd.Stderr == nil {
		cmd.Stderr = file
	}
	if cmd.Stdin == nil {
		if p.stdin, err = cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
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
		if t.Failed() && p.stderr.Len() > 0 {
			t.Logf("standard error:\n%s", p.stderr)
		}
	})
	return p
}

// line returns the next line of output.
func (p *process) line() string {
	p.t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			p.t.Fatalf("the output of %v ended; standard error: %s", p.Args[1:], p.stderr)
		}
		return line
	case <-time.After(patience):
		p.t.Fatalf("no line from %v in %v", p.Args[1:], patience)
	}
	panic("unreachable")
}

// expect fails the test unless the next line is want.
func (p *process) expect(want string) {
	p.t.Helper()
	if got := p.line(); got != want {
		p.t.Fatalf("%v printed %q, want %q", p.Args[1:], got, want)
	}
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(sig); err != nil {
		p.t.Fatalf("signal %v: %v", sig, err)
	}
}

// status waits for the end and returns "exit N" or "signal NAME".
func (p *process) status() string {
	p.t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.Wait() }()
	select {
	case <-done:
	case <-time.After(patience):
		p.Process.Kill()
		<-done
		p.t.Fatalf("%v did not end in %v", p.Args[1:], patience)
	}
	return statusOf(p.ProcessState)
}

func statusOf(state *os.ProcessState) string {
	if ws := state.Sys().(syscall.WaitStatus); ws.Signaled() {
		s := "signal " + SignalName(ws.Signal())
		if ws.CoreDump() {
			s += " (core dumped)"
		}
		return s
	}
	return "exit " + strconv.Itoa(state.ExitCode())
}

// eventually polls for something that nothing announces.
func eventually(t testing.TB, what string, ok func() bool) {
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

// script writes an executable file.
func script(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
