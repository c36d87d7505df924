package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

const (
	startCosts = "testdata/start.txt"
	costsMore  = 5   // percent: a start that costs more is a failure
	tracedRuns = 15  // and as many again while there are more system calls than there were
	faultRuns  = 31  // whose median counts
	tracedMost = 300 // a busy machine lets most commands live long enough for what begins beside them
)

// uncounted are the system calls of which there are more or fewer from run to run: those of Go's
// scheduler, and those of each thread that it starts when another one is busy.
var uncounted = []string{
	"nanosleep", "futex", "sched_yield", "epoll_pwait", "restart_syscall", "tgkill", "getpid", "rt_sigreturn", // monitor, parking, preemption
	"clone", "clone3", "sigaltstack", "gettid", "rt_sigprocmask", "mmap", "munmap", "mprotect", "madvise", "prctl", // a thread, and memory for it
}

// TestStartCost: what starts cost is counted, in what is the same however busy the machine is,
// and must not grow. testdata/start.txt has what it was: run with -update when that has changed
// for a reason, and look at the difference.
func TestStartCost(t *testing.T) {
	if testing.Short() {
		t.Skip("counts what starts cost with one version of Go: left out by -short")
	}
	if raceEnabled || testing.CoverMode() != "" {
		t.Skip("the race detector and coverage have costs of their own")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		missing(t, "strace")
	}
	if out, err := exec.Command(strace, "-f", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("tracing is not permitted here: %v: %s", err, out)
	}
	want, with, on := readCosts(t)
	if with != goVersion() && !*update {
		t.Skipf("the costs in %s are those with %s, this is %s: run with -update when the project's Go is another", startCosts, with, goVersion())
	}
	w := newStartWorld(t)
	got := costs{}
	for _, s := range w.starts {
		w.traceCalls(t, got, strace, s, calls(want[s.name]))
		w.traceInits(t, got, s)
		switch {
		case w.inMemory && (*update || on == kernelVersion(t)):
			w.countFaults(t, got, s, want[s.name]["faults"])
		case *update:
			t.Fatal("page faults are counted of a program in /dev/shm, which is no tmpfs here")
		default:
			t.Logf("page faults are not compared: those in %s are of a program in memory on %s", startCosts, on)
			got.set(s.name, "faults", want[s.name]["faults"])
		}
	}
	if *update {
		got.write(t)
		return
	}
	grown, shrunk := want.compare(got)
	for _, line := range grown {
		t.Errorf("costs more: %s", line)
	}
	for _, line := range shrunk {
		t.Logf("costs less, run with -update to have it stay so: %s", line)
	}
}

// goVersion is that which costs depend on: go1.26.
func goVersion() string {
	return strings.Join(strings.SplitN(runtime.Version(), ".", 3)[:2], ".")
}

// kernelVersion is likewise: how many pages a fault brings in is the kernel's choice.
func kernelVersion(t *testing.T) string {
	t.Helper()
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	return "linux" + strings.Join(strings.SplitN(string(release), ".", 3)[:2], ".")
}

// costs are numbers by start and what was counted: system calls by their names ("call:openat"),
// what packages allocate before main ("init-bytes", "init-allocations"), and page faults that
// need no disk ("faults"), which stand for the memory that is touched.
type costs map[string]map[string]int

func (c costs) set(start, what string, n int) {
	if c[start] == nil {
		c[start] = map[string]int{}
	}
	c[start][what] = n
}

// calls is how many system calls there are.
func calls(of map[string]int) (n int) {
	for what, count := range of {
		if strings.HasPrefix(what, "call:") {
			n += count
		}
	}
	return n
}

func (c costs) write(t *testing.T) {
	t.Helper()
	b := bytes.NewBufferString("# What starts cost. Written by: go test ./integration -run TestStartCost -update\n# START WHAT NUMBER\n")
	fmt.Fprintf(b, "# with %s on %s\n", goVersion(), kernelVersion(t))
	for _, start := range slices.Sorted(maps.Keys(c)) {
		for _, what := range slices.Sorted(maps.Keys(c[start])) {
			fmt.Fprintf(b, "%s %s %d\n", start, what, c[start][what])
		}
	}
	if err := os.WriteFile(startCosts, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readCosts(t *testing.T) (c costs, with, on string) {
	t.Helper()
	text, err := os.ReadFile(startCosts)
	if err != nil {
		t.Fatal(err)
	}
	c = costs{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 5 && words[1] == "with" {
			with, on = words[2], words[4]
		}
		if len(words) != 3 || words[0] == "#" {
			continue
		}
		n, err := strconv.Atoi(words[2])
		if err != nil {
			t.Fatalf("%s: %q: %v", startCosts, line, err)
		}
		c.set(words[0], words[1], n)
	}
	return c, with, on
}

// compare says what costs more than it did, and what less, by more than a twentieth.
func (c costs) compare(got costs) (grown, shrunk []string) {
	for _, start := range slices.Sorted(maps.Keys(got)) {
		var was, is int // system calls
		var calls strings.Builder
		judge := func(was, is int, format string, args ...any) {
			switch line := start + ": " + fmt.Sprintf(format, args...); {
			case is*100 > was*(100+costsMore):
				grown = append(grown, line)
			case is*100 < was*(100-costsMore):
				shrunk = append(shrunk, line)
			}
		}
		for _, what := range slices.Sorted(maps.Keys(union(c[start], got[start]))) {
			before, now := c[start][what], got[start][what]
			name, isCall := strings.CutPrefix(what, "call:")
			switch {
			case isCall:
				was, is = was+before, is+now
				if before != now {
					fmt.Fprintf(&calls, "\n  %s %d -> %d", name, before, now)
				}
			default:
				judge(before, now, "%s %d -> %d", what, before, now)
			}
		}
		judge(was, is, "system calls %d -> %d:%s", was, is, &calls)
	}
	return grown, shrunk
}

func union(a, b map[string]int) map[string]int {
	all := maps.Clone(b)
	maps.Copy(all, a)
	return all
}

// startWorld is what the starts that are counted are made in.
type startWorld struct {
	brsExec  string
	inMemory bool // brsExec
	env      []string
	starts   []startKind
}

type startKind struct {
	name string
	args []string
	env  []string // besides
}

func newStartWorld(t *testing.T) *startWorld {
	t.Helper()
	dir := t.TempDir()
	w := &startWorld{}
	w.brsExec, w.inMemory = copied(t, "-trimpath", "-tags", "urfave_cli_no_docs,brs_fwdsig", "-ldflags", "-s -w -checklinkname=0", module)
	runtime := filepath.Join(dir, "run")
	if err := os.Mkdir(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(dir, "none")
	w.env = []string{
		"PATH=/usr/bin:/bin", "HOME=" + none, "XDG_RUNTIME_DIR=" + runtime, "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=us-east-1",
		"AWS_CONFIG_FILE=" + none, "AWS_SHARED_CREDENTIALS_FILE=" + none,
	}
	server, err := fakeaws.Listen(fakeaws.Options{Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	keys := server.Bootstrap()
	static := []string{"AWS_ACCESS_KEY_ID=" + keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + keys.SecretAccessKey}
	role := append(static, "AWS_ENDPOINT_URL_STS="+server.URL())
	w.starts = []startKind{
		{"static", []string{"--quiet", "--", "/bin/true"}, static},
		{"role", []string{"--quiet", "--role-arn", roleARN, "--", "/bin/true"}, role},
		{"credentials", []string{"credentials", "--run-dir", w.holdRun(t, role)}, nil},
	}
	return w
}

// copied builds brs-exec, and copies it into memory, where a file is in pages of one size: the
// page cache of a disk has it in the pieces in which it was written, and the number of page
// faults depends on them.
func copied(t *testing.T, args ...string) (path string, inMemory bool) {
	t.Helper()
	built := filepath.Join(t.TempDir(), "brs-exec")
	cmd := exec.Command("go", append([]string{"build", "-o", built}, args...)...)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %q: %v\n%s", args, err, out)
	}
	const tmpfs, noexec = 0x01021994, 8 // statfs(2)
	dir, err := os.MkdirTemp("/dev/shm", "brs-exec-test-")
	if err != nil {
		return built, false
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil || int64(st.Type) != tmpfs || st.Flags&noexec != 0 {
		return built, false
	}
	program, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "brs-exec")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	return path, true
}

// holdRun returns the run directory of a run that has a session until the test ends.
func (w *startWorld) holdRun(t *testing.T, env []string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(w.brsExec, "--quiet", "--role-arn", roleARN, "--", "/bin/sh", "-c", `echo "$AWS_CONFIG_FILE"; read -r _`)
	cmd.Env = append(slices.Concat(w.env, env), "XDG_RUNTIME_DIR="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	config, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(config))
}

// run is one start, behind other arguments or nil. What it prints on standard error is returned.
func (w *startWorld) run(t *testing.T, before []string, s startKind, env ...string) (stderr []byte, state *os.ProcessState) {
	t.Helper()
	argv := slices.Concat(before, []string{w.brsExec}, s.args)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = slices.Concat(w.env, s.env, env)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, &said)
	}
	return said.Bytes(), cmd.ProcessState
}

// traceCalls counts the system calls that brs-exec's own process makes, each as seldom as it is
// made in any run: what a run has more of, a busy machine or the scheduler has made. was is how
// many there were.
func (w *startWorld) traceCalls(t *testing.T, into costs, strace string, s startKind, was int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "calls")
	var least map[string]int
	for n := 1; ; n++ {
		w.run(t, []string{strace, "-f", "-qq", "-o", path}, s)
		trace, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		seen := callsOf(string(trace))
		if least == nil {
			least = seen
		}
		for name := range least {
			least[name] = min(least[name], seen[name])
		}
		if n >= tracedRuns && n%tracedRuns == 0 && (calls(least)*100 <= was*(100+costsMore) || n >= tracedMost) {
			break
		}
	}
	for what, n := range least {
		if n > 0 {
			into.set(s.name, what, n)
		}
	}
	if n := calls(least); n < 100 {
		t.Errorf("%s: only %d system calls were seen", s.name, n)
	}
}

var callLine = regexp.MustCompile(`^(\d+) +(\w+)\(`)

// callsOf counts the calls of the first process of a trace of strace -f: a process that becomes
// another program, as no thread does, is not counted. Nor are those of uncounted.
func callsOf(trace string) map[string]int {
	by := map[string]map[string]int{}
	first := ""
	for line := range strings.Lines(trace) {
		m := callLine.FindStringSubmatch(line)
		if m == nil {
			continue // the second part of a call, a signal, an end
		}
		pid, name := m[1], m[2]
		if first == "" {
			first = pid
		}
		if by[pid] == nil {
			by[pid] = map[string]int{}
		}
		by[pid][name]++
	}
	all := map[string]int{}
	for pid, calls := range by {
		if pid != first && calls["execve"] > 0 {
			continue
		}
		for name, n := range calls {
			if !slices.Contains(uncounted, name) {
				all["call:"+name] += n
			}
		}
	}
	return all
}

var initLine = regexp.MustCompile(`(?m)^init \S+ @.* (\d+) bytes, (\d+) allocs$`)

// traceInits counts what packages allocate before main.
func (w *startWorld) traceInits(t *testing.T, into costs, s startKind) {
	t.Helper()
	stderr, _ := w.run(t, nil, s, "GODEBUG=inittrace=1")
	var size, n int
	found := initLine.FindAllSubmatch(stderr, -1)
	for _, m := range found {
		bytes, _ := strconv.Atoi(string(m[1]))
		allocations, _ := strconv.Atoi(string(m[2]))
		size, n = size+bytes, n+allocations
	}
	if len(found) == 0 {
		t.Errorf("%s: no package was seen to be initialised: %q", s.name, stderr)
	}
	into.set(s.name, "init-bytes", size)
	into.set(s.name, "init-allocations", n)
}

// countFaults counts page faults, with those of the command: the median of some runs, and of as
// many again while there are more than there were, as traceCalls does.
func (w *startWorld) countFaults(t *testing.T, into costs, s startKind, was int) {
	t.Helper()
	least := 0
	for n := 0; n == 0 || n < tracedMost && least*100 > was*(100+costsMore); n += faultRuns {
		faults := make([]int, faultRuns)
		for i := range faults {
			_, state := w.run(t, nil, s)
			faults[i] = int(state.SysUsage().(*syscall.Rusage).Minflt)
		}
		slices.Sort(faults)
		if median := faults[faultRuns/2]; least == 0 || median < least {
			least = median
		}
	}
	into.set(s.name, "faults", least)
}

// TestStartCostCompare: what grows or shrinks by more than a twentieth is said, call by call.
func TestStartCostCompare(t *testing.T) {
	t.Parallel()
	was := costs{
		"static": {"call:openat": 60, "call:close": 40, "init-bytes": 1000},
	}
	tests := []struct {
		name          string
		is            map[string]int
		grown, shrunk []string
	}{
		{"the same", map[string]int{"call:openat": 60, "call:close": 40, "init-bytes": 1000}, nil, nil},
		{"a little more", map[string]int{"call:openat": 62, "call:close": 43, "init-bytes": 1050}, nil, nil},
		{"more calls", map[string]int{"call:openat": 65, "call:close": 40, "call:fcntl": 1, "init-bytes": 1000},
			[]string{"static: system calls 100 -> 106:\n  fcntl 0 -> 1\n  openat 60 -> 65"}, nil},
		{"more else", map[string]int{"call:openat": 60, "call:close": 40, "init-bytes": 1051},
			[]string{"static: init-bytes 1000 -> 1051"}, nil},
		{"less", map[string]int{"call:openat": 54, "call:close": 40, "init-bytes": 900},
			nil, []string{"static: init-bytes 1000 -> 900", "static: system calls 100 -> 94:\n  openat 60 -> 54"}},
	}
	for _, tt := range tests {
		grown, shrunk := was.compare(costs{"static": tt.is})
		if !slices.Equal(grown, tt.grown) || !slices.Equal(shrunk, tt.shrunk) {
			t.Errorf("%s: %q and %q, want %q and %q", tt.name, grown, shrunk, tt.grown, tt.shrunk)
		}
	}
}

// TestStartCostCalls: threads are counted, the command is not.
func TestStartCostCalls(t *testing.T) {
	t.Parallel()
	const trace = `7  execve("/x", ["x"], 0x7 /* 1 var */) = 0
7  openat(AT_FDCWD, "/a" <unfinished ...>
8  read(3,  <unfinished ...>
7  <... openat resumed>) = 3
9  close(3) = 0
9  execve("/bin/true", ["true"], 0x7 /* 1 var */) = 0
7  --- SIGCHLD {si_signo=SIGCHLD} ---
8  <... read resumed>"", 1) = 0
9  +++ exited with 0 +++
`
	if got, want := callsOf(trace), map[string]int{"call:execve": 1, "call:openat": 1, "call:read": 1}; !maps.Equal(got, want) {
		t.Errorf("calls: %v, want %v", got, want)
	}
}
