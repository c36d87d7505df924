package supervisor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wrap returns a command under the wrapper with options; ALRM cancels it, and
// the report of its exit goes to the returned file.
func withOptions(t testing.TB, o wrapOptions, argv ...string) (*process, func() string) {
	t.Helper()
	o.CancelOn = "ALRM"
	o.Report = filepath.Join(t.TempDir(), "report")
	cmd := command(t, wrapped(t, argv...)...)
	cmd.Env = append(cmd.Env, o.env(t))
	return start(t, cmd), func() string {
		b, err := os.ReadFile(o.Report)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	trap := func(s string) []string {
		return []string{"/bin/sh", "-c", s + "; echo ready; while :; do read x || sleep 1; done"}
	}
	for _, tt := range []struct {
		name   string
		o      Options
		argv   []string
		then   func(p *process)
		want   string
		report string
	}{
		{name: "heeds TERM", o: Options{StopTimeout: time.Minute}, argv: trap("trap 'exit 4' TERM"),
			want: "exit 4", report: "exit status 4 stopped=true"},
		{name: "dies of TERM", o: Options{StopTimeout: time.Minute}, argv: trap(":"),
			want: "signal TERM", report: "signal TERM stopped=true"},
		{name: "other signal", o: Options{StopSignal: unix.SIGUSR1, StopTimeout: time.Minute}, argv: trap("trap 'exit 5' USR1"),
			want: "exit 5", report: "exit status 5 stopped=true"},
		{name: "ignores TERM", o: Options{StopTimeout: 50 * time.Millisecond}, argv: trap("trap '' TERM"),
			want: "signal KILL", report: "signal KILL stopped=true"},
		{name: "second INT cuts the grace short", o: Options{StopTimeout: time.Hour}, argv: trap("trap '' TERM; trap 'echo INT' INT"),
			then: func(p *process) { p.signal(unix.SIGINT); p.expect("INT"); p.signal(unix.SIGINT) },
			want: "signal KILL", report: "signal KILL stopped=true"},
		{name: "without grace", o: Options{StopTimeout: -1}, argv: trap("trap 'sleep 0.2; exit 6' TERM"),
			want: "exit 6", report: "exit status 6 stopped=true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, report := withOptions(t, wrapOptions{Options: tt.o, Events: "stopping"}, tt.argv...)
			p.expect("ready")
			p.signal(unix.SIGALRM)
			p.expect("stopping")
			if tt.then != nil {
				tt.then(p)
			}
			if got := p.status(); got != tt.want {
				t.Errorf("status = %s, want %s", got, tt.want)
			}
			if got := report(); got != tt.report {
				t.Errorf("exit = %s, want %s", got, tt.report)
			}
		})
	}
}

// A suspended command hears of the stop, too.
func TestStopOfASuspendedCommand(t *testing.T) {
	t.Parallel()
	p, _ := withOptions(t, wrapOptions{Options: Options{StopTimeout: time.Minute}}, "/bin/sh", "-c", "trap 'exit 4' TERM; echo ready $$; n=0; while [ $n -lt 3000 ]; do n=$((n+1)); sleep 0.05; done")
	pid := p.ready()
	unix.Kill(pid, unix.SIGSTOP)
	eventually(t, "the command is stopped", func() bool { return stateOf(pid) == 'T' })
	p.signal(unix.SIGALRM)
	if got := p.status(); got != "exit 4" {
		t.Errorf("status = %s, want exit 4", got)
	}
}

// KILL takes the descendants along, in our own process group as well, where a kill of
// the group would take us.
func TestKillTakesDescendantsAlong(t *testing.T) {
	t.Parallel()
	for _, group := range []bool{false, true} {
		p, _ := withOptions(t, wrapOptions{Options: Options{StopTimeout: 10 * time.Millisecond, SignalGroup: group}},
			"/bin/sh", "-c", "trap '' TERM; (sleep 100 & echo $!; wait) & echo $!; wait; wait; wait")
		var list []int
		for range 2 {
			pid, err := strconv.Atoi(p.line())
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, pid)
		}
		p.signal(unix.SIGALRM)
		if got := p.status(); got != "signal KILL" {
			t.Errorf("status = %s, want signal KILL", got)
		}
		for _, pid := range list {
			eventually(t, "descendants are gone", func() bool { return gonePid(pid) })
		}
	}
}

func TestStopBeforeThereIsAChild(t *testing.T) {
	t.Parallel()
	cmd := command(t, wrapped(t, "/bin/echo", "started")...)
	report := filepath.Join(t.TempDir(), "report")
	cmd.Env = append(cmd.Env, wrapOptions{NotReady: true, CancelOn: "ALRM", Report: report, Held: true}.env(t))
	p := start(t, cmd)
	p.expect("held")
	p.signal(unix.SIGALRM)
	if got := p.status(); got != "exit 125" {
		t.Errorf("status = %s, want exit 125", got)
	}
	if got, _ := os.ReadFile(report); string(got) != "exit status 125 stopped=true" {
		t.Errorf("exit = %s", got)
	}
	if line, ok := <-p.lines; ok {
		t.Errorf("output: %s", line)
	}
}

func TestRewrite(t *testing.T) {
	t.Parallel()
	p, _ := withOptions(t, wrapOptions{Options: Options{Rewrite: map[syscall.Signal]syscall.Signal{unix.SIGTERM: unix.SIGQUIT, unix.SIGHUP: 0}}}, helper(t, "report")...)
	p.ready()
	p.signal(unix.SIGTERM)
	p.expect("QUIT")
	p.signal(unix.SIGHUP)
	p.signal(unix.SIGUSR1)
	p.expect("USR1")
	p.signal(unix.SIGUSR2)
	p.expect("USR2")
	p.status()
}

func TestRestartPolicy(t *testing.T) {
	t.Parallel()
	quick := func(r Restart) Restart {
		r.Delay, r.DelayMax = time.Millisecond, 4*time.Millisecond
		return r
	}
	for _, tt := range []struct {
		name string
		o    Restart
		code string // of the first run, the second, …
		want string
		runs int
	}{
		{"never", Restart{}, "1", "exit 1", 1},
		{"on failure, until it succeeds", Restart{Policy: RestartOnFailure}, "1 2 0", "exit 0", 3},
		{"on failure, at most 3 restarts", Restart{Policy: RestartOnFailure, Max: 3}, "1 2 3 4 5", "exit 4", 4},
		{"always, at most 4 restarts", Restart{Policy: RestartAlways, Max: 4}, "0 0 1 0 6 7", "exit 6", 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			runs := filepath.Join(t.TempDir(), "runs")
			p, _ := withOptions(t, wrapOptions{Options: Options{Restart: quick(tt.o)}}, "/bin/sh", "-c",
				`echo >>"$0"; set -- `+tt.code+`; shift $(($(wc -l <"$0") - 1)); exit $1`, runs)
			if got := p.status(); got != tt.want {
				t.Errorf("status = %s, want %s", got, tt.want)
			}
			b, err := os.ReadFile(runs)
			if err != nil || strings.Count(string(b), "\n") != tt.runs {
				t.Errorf("%d runs, %v, want %d", strings.Count(string(b), "\n"), err, tt.runs)
			}
		})
	}
}

// Who tells us to end does not want the command back.
func TestToldToEndIsNotRestarted(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT} {
		p, _ := withOptions(t, wrapOptions{Options: Options{Restart: Restart{Policy: RestartAlways}}}, "/bin/sh", "-c",
			"trap 'exit 9' TERM INT; echo ready; n=0; while [ $n -lt 3000 ]; do n=$((n+1)); sleep 0.05; done")
		p.expect("ready")
		p.signal(sig)
		if got := p.status(); got != "exit 9" {
			t.Errorf("status after %v = %s, want exit 9", sig, got)
		}
	}
	// nor during the pause, which is an hour here
	p, _ := withOptions(t, wrapOptions{Options: Options{Restart: Restart{Policy: RestartAlways, Delay: time.Hour, DelayMax: time.Hour}}, Events: "ended"}, "/bin/true")
	p.expect("ended: exit status 0, again after 1h0m0s")
	p.signal(unix.SIGHUP) // announces something to a child that isn't there
	p.signal(unix.SIGTERM)
	if got := p.status(); got != "signal TERM" {
		t.Errorf("status in the pause = %s, want signal TERM", got)
	}
}

// A restart that was asked for stops with grace, whatever the policy.
func TestRestartOnRequest(t *testing.T) {
	t.Parallel()
	p, _ := withOptions(t, wrapOptions{RestartOn: "VTALRM", Events: "stopping ended", Options: Options{StopTimeout: time.Minute}}, "/bin/sh", "-c",
		"trap 'exit 9' TERM; echo ready $RUN; n=0; while [ $n -lt 3000 ]; do n=$((n+1)); sleep 0.05; done")
	for run := 1; run <= 3; run++ {
		p.expect("ready " + strconv.Itoa(run)) // the environment is asked for at each start
		if run < 3 {
			p.signal(unix.SIGVTALRM)
			p.expect("stopping")
			p.expect("ended: exit status 9, again after 0s")
		}
	}
	p.signal(unix.SIGTERM)
	p.expect("ended: exit status 9")
	if got := p.status(); got != "exit 9" {
		t.Errorf("status = %s, want exit 9", got)
	}
}

func TestOnceIsOnce(t *testing.T) {
	signals := &Signals{}
	if _, err := New(Options{Argv: []string{"true"}, Once: true, Restart: Restart{Policy: RestartAlways}}, signals); err == nil {
		t.Error("New takes a policy together with Once")
	}
	s, err := New(Options{Argv: []string{"true"}, Once: true}, signals)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(); err == nil {
		t.Error("Restart works with Once")
	}
	if _, err := New(Options{}, signals); err == nil {
		t.Error("New takes no command")
	}
}

func TestPdeathsig(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		o       wrapOptions
		kill    func(child int) int // whom
		survive bool
	}{
		{"without", wrapOptions{}, parent, true},
		{"with", wrapOptions{Options: Options{Pdeathsig: unix.SIGTERM}}, parent, false},
		{"worker under a stage", wrapOptions{Subreap: true, Options: Options{Pdeathsig: unix.SIGTERM}}, parent, false},
		{"stage", wrapOptions{Subreap: true, Options: Options{Pdeathsig: unix.SIGTERM}}, func(child int) int { return parent(parent(child)) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := withOptions(t, tt.o, helper(t, "report", "eof")...)
			child := p.ready()
			unix.Kill(tt.kill(child), unix.SIGKILL)
			if !tt.survive {
				p.expect("TERM")
			} else {
				unix.Kill(child, unix.SIGUSR1)
				p.expect("USR1")
			}
			if stateOf(child) == 0 {
				t.Error("the command is gone")
			}
			p.stdin.Close()
			eventually(t, "the command ends", func() bool { return gonePid(child) })
		})
	}
}

func TestOrphansAreStopped(t *testing.T) {
	t.Parallel()
	script := "(trap 'echo term; exit' TERM; echo ready; while :; do sleep 0.01; done) & (trap '' TERM; sleep 100 & echo $!; wait) & read x; exit 3"
	t.Run("subreaper", func(t *testing.T) {
		t.Parallel()
		p, _ := withOptions(t, wrapOptions{Subreap: true, Options: Options{StopOrphans: 100 * time.Millisecond}}, "/bin/sh", "-c", script)
		pid := 0
		for range 2 {
			if line := p.line(); line != "ready" {
				pid, _ = strconv.Atoi(line)
			}
		}
		p.stdin.Close()
		p.expect("term")
		if got := p.status(); got != "exit 3" {
			t.Errorf("status = %s, want exit 3", got)
		}
		if pid == 0 || !gonePid(pid) {
			t.Errorf("the orphan %d that KILL ended is still there", pid)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		p, _ := withOptions(t, wrapOptions{Subreap: true, Options: Options{StopOrphans: time.Hour}}, "/bin/sh", "-c",
			"sh -c \"trap 'echo term; exit' TERM; echo \\$\\$; while :; do sleep 0.01; done\" & read x; exit 3")
		orphan, err := strconv.Atoi(p.line())
		if err != nil {
			t.Fatal(err)
		}
		unix.Kill(orphan, unix.SIGSTOP)
		eventually(t, "the orphan is stopped", func() bool { return stateOf(orphan) == 'T' })
		p.stdin.Close()
		p.expect("term")
		if got := p.status(); got != "exit 3" {
			t.Errorf("status = %s, want exit 3", got)
		}
	})
	t.Run("init", func(t *testing.T) {
		t.Parallel()
		cmd := asInit(t, wrapped(t, "/bin/sh", "-c", script)...)
		cmd.Env = append(cmd.Env, wrapOptions{Options: Options{StopOrphans: 100 * time.Millisecond}}.env(t))
		p := start(t, cmd)
		p.line()
		p.line()
		p.stdin.Close()
		p.expect("term")
		if got := p.status(); got != "exit 3" {
			t.Errorf("status = %s, want exit 3", got)
		}
	})
}
