package integration

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// Rows 9 to 34 of the rules for wrappers.

func TestSupervise09DiesAsTheCommandDid(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"TERM", "KILL", "SEGV", "INT", "HUP", "QUIT", "ABRT", "PIPE", "USR1", "BUS"} {
		script := "ulimit -c 0; kill -" + name + " $$"
		run(t, plainCommand(t, quietly(t, "sh", "-c", script)...)).ends("signal SIG" + name)
		number := unix.SignalNum("SIG" + name)
		run(t, plainCommand(t, asPID1(t, quietly(t, "sh", "-c", script)...)...)).ends(fmt.Sprintf("exit %d", 128+int(number)))
	}
	s := shell(t)
	s.typed("for i in 1 2 3; do $W " + strings.Join(played(t, "report", "SIGINT"), " ") + "; done; echo loop$((1+1))\n")
	s.pid()
	s.typed("\x03")
	s.expect("PROMPT> ")
	s.do("echo code $?", "code 130\r\n")
	if strings.Contains(s.all(), "loop2") {
		t.Error("Ctrl-C did not end the shell's loop")
	}
}

func TestSupervise10CannotRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain, lost := filepath.Join(dir, "plain"), filepath.Join(dir, "lost")
	os.WriteFile(plain, []byte("x"), 0o644)
	os.WriteFile(lost, []byte("#!/no/such/interpreter\n"), 0o755)
	for _, tt := range []struct{ command, want string }{
		{"/no/such/command", "exit 127"},
		{"no-such-command-anywhere", "exit 127"},
		{lost, "exit 127"},
		{plain, "exit 126"},
		{dir, "exit 126"},
	} {
		p := run(t, plainCommand(t, quietly(t, tt.command)...))
		p.ends(tt.want)
		if text := p.errors(); !strings.Contains(text, tt.command) || strings.Count(text, "brs-exec: error:") != 1 {
			t.Errorf("standard error for %s = %q, want one error that names it", tt.command, text)
		}
	}
	p := run(t, plainCommand(t, brsExec(t), "--no-such-flag", "--", "true"))
	p.ends("exit 125")
}

// A signal in the first milliseconds ends brs-exec or reaches the command: no
// command is left alone, none misses it.
func TestSupervise11EarlySignals(t *testing.T) {
	t.Parallel()
	moments := 60
	if testing.Short() {
		moments = 15
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range moments {
		sig := []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP}[i%3]
		cmd := plainCommand(t, quietly(t, "sleep", "987654")...)
		p := run(t, cmd)
		<-time.After(time.Duration(rnd.IntN(30_000)) * time.Microsecond)
		p.signal(sig)
		p.ends("signal " + unix.SignalName(sig))
		until(t, "no command is left", func() bool {
			return !slices.ContainsFunc(allPIDs(), func(pid int) bool {
				cwd, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
				return cwd == cmd.Dir && !ended(pid)
			})
		})
	}
}

func numbers(kind string, sigs ...syscall.Signal) (args []string) {
	for _, sig := range sigs {
		args = append(args, kind+":"+strconv.Itoa(int(sig)))
	}
	return args
}

// sameAsBare runs a probe bare and under brs-exec, both after a preparation.
func sameAsBare(t *testing.T, prepare, probe []string) {
	t.Helper()
	dir := t.TempDir()
	out := func(argv []string) string {
		path, err := exec.LookPath(argv[0])
		if err != nil {
			t.Fatal(err)
		}
		cmd := plainCommand(t, append(slices.Clone(prepare), append([]string{path}, argv[1:]...)...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return fmt.Sprintf("%s%v", out, err)
	}
	pipes := regexp.MustCompile(`pipe:\[\d+\]`)
	bare, wrapped := out(probe), out(quietly(t, probe...))
	if diff := cmp.Diff(pipes.ReplaceAllString(bare, "pipe"), pipes.ReplaceAllString(wrapped, "pipe")); diff != "" {
		t.Errorf("%q after %q (-bare +wrapped):\n%s", probe, prepare, diff)
	}
}

func TestSupervise12IgnoredSignals(t *testing.T) {
	t.Parallel()
	probe := []string{"grep", "^Sig[IB]", "/proc/self/status"}
	for _, sigs := range [][]syscall.Signal{{unix.SIGHUP}, {unix.SIGINT}, {unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU}, {unix.SIGCONT}} {
		sameAsBare(t, append(played(t, "exec", numbers("ignore", sigs...)...), "--"), probe)
	}
	p := run(t, plainCommand(t, append(append(played(t, "exec", numbers("ignore", unix.SIGHUP)...), "--"), quietly(t, "sh", "-c", "echo ready; read x; exit 3")...)...))
	p.expect("ready")
	for range 10 {
		p.signal(unix.SIGHUP)
	}
	p.stdin.Close()
	p.ends("exit 3")
}

func TestSupervise13BlockedSignals(t *testing.T) {
	t.Parallel()
	sameAsBare(t, append(played(t, "exec", numbers("block", unix.SIGUSR1, unix.SIGTSTP, unix.SIGTTOU, unix.SIGPIPE, 40)...), "--"),
		[]string{"grep", "^Sig[IB]", "/proc/self/status"})
}

func TestSupervise14ChildSignalIgnored(t *testing.T) {
	t.Parallel()
	prepare := append(played(t, "exec", numbers("ignore", unix.SIGCHLD)...), "--")
	run(t, plainCommand(t, append(prepare, quietly(t, "sh", "-c", "exit 3")...)...)).ends("exit 3")
}

func TestSupervise15StandardErrorNobodyReads(t *testing.T) {
	t.Parallel()
	loud := []string{brsExec(t), "--log-level", "debug", "--", "sh", "-c", "exit 3"}
	for _, gone := range []bool{true, false} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if gone {
			r.Close()
		} else { // full
			fd := int(w.Fd())
			if err := unix.SetNonblock(fd, true); err != nil {
				t.Fatal(err)
			}
			for _, size := range []int{4096, 1} {
				for err = nil; err == nil; {
					_, err = unix.Write(fd, make([]byte, size))
				}
			}
			if err := unix.SetNonblock(fd, false); err != nil {
				t.Fatal(err)
			}
		}
		cmd := plainCommand(t, loud...)
		cmd.Stderr = w
		run(t, cmd).ends("exit 3")
		w.Close()
		r.Close()
	}
}

func TestSupervise16Silence(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"0", "3"} {
		p := run(t, plainCommand(t, quietly(t, "sh", "-c", "echo out; exit "+code)...))
		p.expect("out")
		p.ends("exit " + code)
		if line, ok := <-p.lines; ok || p.errors() != "" {
			t.Errorf("also printed %q and %q", line, p.errors())
		}
	}
}

func TestSupervise17ClosedStandardFiles(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	script := `for n in 0 1 2; do readlink /proc/$$/fd/$n || echo closed; done >"$0"; exit 3`
	p := run(t, plainCommand(t, append([]string{"sh", "-c", `exec "$@" <&- >&- 2>&-`, "sh"}, quietly(t, "sh", "-c", script, out)...)...))
	p.ends("exit 3")
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range strings.Fields(string(b)) {
		if file != "/dev/null" && file != "closed" && file != out {
			t.Errorf("a closed file became %s", file)
		}
	}
}

func TestSupervise18Descriptors(t *testing.T) {
	t.Parallel()
	sameAsBare(t, []string{"sh", "-c", `exec "$@" 3</etc/passwd 7>/dev/null 12<&3`, "sh"},
		[]string{"sh", "-c", "for fd in /proc/$$/fd/*; do case ${fd##*/} in 0|1|2) ;; *) echo ${fd##*/} $(readlink $fd);; esac; done"})
	if _, err := exec.LookPath("bash"); err == nil {
		p := run(t, plainCommand(t, "bash", "-c", strings.Join(quietly(t), " ")+" cat <(echo substituted)"))
		p.expect("substituted")
		p.ends("exit 0")
	}
}

func TestSupervise19OwnCopies(t *testing.T) {
	t.Parallel()
	ends, third, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := plainCommand(t, quietly(t, "sh", "-c", "exec 3>&- 0<&-; echo ready; exec 1>&-; exec sleep 50")...)
	cmd.ExtraFiles = []*os.File{third}
	p := run(t, cmd)
	third.Close()
	p.expect("ready")
	if line, ok := <-p.lines; ok {
		t.Errorf("got %q, want the end of the output", line)
	}
	if n, err := ends.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read of descriptor 3: %d, %v, want its end", n, err)
	}
	until(t, "a write to the input that the command has closed fails", func() bool {
		_, err := p.stdin.Write([]byte("x"))
		return err != nil
	})
	p.signal(unix.SIGTERM)
	p.ends("signal SIGTERM")
}

func TestSupervise20PID1Reaps(t *testing.T) {
	t.Parallel()
	p := run(t, plainCommand(t, asPID1(t, quietly(t, played(t, "orphans")...)...)...))
	p.expect("reaped")
	p.ends("exit 0")
}

func TestSupervise21PID1Term(t *testing.T) {
	t.Parallel()
	p := run(t, plainCommand(t, asPID1(t, quietly(t, "sh", "-c", "echo ready; exec sleep 50")...)...))
	p.expect("ready")
	unix.Kill(childOf(t, p.Process.Pid), unix.SIGTERM)
	p.ends("exit 143")
	p = run(t, plainCommand(t, asPID1(t, quietly(t, played(t, "report")...)...)...))
	p.ready()
	init := childOf(t, p.Process.Pid)
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGWINCH} {
		unix.Kill(init, sig)
		p.expect(unix.SignalName(sig))
	}
	unix.Kill(init, unix.SIGUSR2)
	p.expect("SIGUSR2")
	p.ends("exit 7")
}

func TestSupervise22And23Orphans(t *testing.T) {
	t.Parallel()
	p := run(t, plainCommand(t, quietly(t, "sh", "-c", "sh -c 'sleep 50 & echo $!'; read x; sleep 50 & echo $!; exit 4")...))
	orphan, err := strconv.Atoi(p.line())
	if err != nil {
		t.Fatal(err)
	}
	if parent := parentOf(orphan); parent == p.Process.Pid {
		t.Error("brs-exec has adopted an orphan, and it is not PID 1")
	}
	fmt.Fprintln(p.stdin)
	left, err := strconv.Atoi(p.line())
	if err != nil {
		t.Fatal(err)
	}
	p.ends("exit 4") // at once, although the output is still held
	for _, pid := range []int{orphan, left} {
		if ended(pid) {
			t.Errorf("process %d, which the command left running, is gone", pid)
		}
		unix.Kill(pid, unix.SIGKILL)
	}
}

func TestSupervise24Scope(t *testing.T) {
	t.Parallel()
	const script = "trap 'echo child' USR1; sh -c 'trap \"echo grandchild; exit\" USR1; n=0; echo ready; while [ $n -lt 300 ]; do n=$((n+1)); sleep 0.05; done' & while :; do wait && break; done; exit 3"
	p := run(t, plainCommand(t, quietly(t, "sh", "-c", script)...))
	p.expect("ready")
	for range 3 {
		p.signal(unix.SIGUSR1)
		p.expect("child")
	}
	p = run(t, plainCommand(t, append([]string{brsExec(t), "--quiet", "--signal-group", "--"}, "sh", "-c", script)...))
	p.expect("ready")
	p.signal(unix.SIGUSR1)
	got := []string{p.line(), p.line()}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"child", "grandchild"}, got); diff != "" {
		t.Errorf("with --signal-group (-want +got):\n%s", diff)
	}
	p.ends("exit 3")
}

func TestSupervise25GroupKill(t *testing.T) {
	t.Parallel()
	cmd := plainCommand(t, quietly(t, played(t, "report")...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := run(t, cmd)
	pid := p.ready()
	unix.Kill(-p.Process.Pid, unix.SIGKILL)
	p.ends("signal SIGKILL")
	until(t, "the command ends with the group", func() bool { return ended(pid) })
}

func TestSupervise26TermIgnored(t *testing.T) {
	t.Parallel()
	p := run(t, plainCommand(t, quietly(t, "sh", "-c", "trap '' TERM; echo ready; read x; exit 3")...))
	p.expect("ready")
	p.signal(unix.SIGTERM)
	p.signal(unix.SIGTERM)
	p.stdin.Close()
	p.ends("exit 3")
}

func TestSupervise27Killed(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"", "--pdeathsig=TERM"} {
		argv := append(slices.DeleteFunc([]string{brsExec(t), "--quiet", flag}, func(s string) bool { return s == "" }), "--")
		p := run(t, plainCommand(t, append(argv, played(t, "report")...)...))
		pid := p.ready()
		p.signal(unix.SIGKILL)
		if flag != "" {
			p.expect("SIGTERM")
		}
		unix.Kill(pid, unix.SIGUSR2) // lives on
		line := p.line()
		for flag != "" && line == "SIGTERM" { // once for each of our threads that was its parent
			line = p.line()
		}
		if line != "SIGUSR2" {
			t.Errorf("the command saw %s, want SIGUSR2", line)
		}
		p.ends("signal SIGKILL")
	}
}

func TestSupervise28And29Lookup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tool"), []byte("echo \"ran $1\"; exit 5"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{".", "/bin:", "/bin:.", dir} {
		cmd := plainCommand(t, quietly(t, "tool", "x")...)
		cmd.Dir = dir
		cmd.Env = append(cmd.Env, "PATH="+path)
		p := run(t, cmd)
		p.expect("ran x")
		p.ends("exit 5")
	}
}

var ours = regexp.MustCompile(`^(AWS_|CPL_AWS_)[A-Z_]*=`)

func TestSupervise30Environment(t *testing.T) {
	t.Parallel()
	args := played(t, "exec", "env:DOUBLE=1", "env:no-equals-sign", "env:=empty name", "env:odd-name.x=\xff\xfe\n")
	for i := range 1000 {
		args = append(args, fmt.Sprintf("env:V%d=\xff %d ü\\ ", i, i))
	}
	environ := func(argv ...string) []string {
		out, err := plainCommand(t, append(append(slices.Clone(args), "--"), argv...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for e := range bytes.SplitSeq(out, []byte{0}) {
			if !ours.Match(e) {
				list = append(list, string(e))
			}
		}
		slices.Sort(list) // only the content is promised
		return list
	}
	probe := []string{"/bin/cat", "/proc/self/environ"}
	if diff := cmp.Diff(withoutHome(environ(probe...)), withoutHome(environ(quietly(t, probe...)...))); diff != "" {
		t.Errorf("environment (-bare +wrapped):\n%s", diff)
	}
}

// withoutHome leaves out what differs between any two runs of these tests.
func withoutHome(env []string) []string {
	return slices.DeleteFunc(env, func(e string) bool {
		return strings.HasPrefix(e, "HOME=") || strings.HasPrefix(e, "TMPDIR=") || strings.HasPrefix(e, "XDG_RUNTIME_DIR=") || e == "no-equals-sign"
	})
}

func TestSupervise31Directory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, who alone can look at the directory of a brs-exec that runs a command")
	}
	t.Parallel()
	cmd := plainCommand(t, quietly(t, "sh", "-c", "pwd -P; read x")...)
	dir, err := filepath.EvalSymlinks(cmd.Dir)
	if err != nil {
		t.Fatal(err)
	}
	p := run(t, cmd)
	p.expect(dir)
	until(t, "brs-exec has left the directory", func() bool {
		cwd, _ := os.Readlink("/proc/" + strconv.Itoa(p.Process.Pid) + "/cwd")
		return cwd == "/"
	})
	p.stdin.Close()
	p.status()
}

func TestSupervise32StoppedByOthers(t *testing.T) {
	t.Parallel()
	p := run(t, plainCommand(t, quietly(t, played(t, "report")...)...))
	pid := p.ready()
	for range 5 {
		unix.Kill(pid, unix.SIGSTOP)
		until(t, "the command is stopped", func() bool { return stopped(pid) })
		p.signal(unix.SIGURG)
		p.signal(unix.SIGCHLD)
		unix.Kill(pid, unix.SIGCONT)
		p.expect("SIGCONT")
		if stopped(p.Process.Pid) {
			t.Fatal("brs-exec has stopped without a terminal")
		}
	}
	p.signal(unix.SIGUSR2)
	p.expect("SIGUSR2")
	p.ends("exit 7")
	if line, ok := <-p.lines; ok {
		t.Errorf("the command saw also %s", line)
	}
}

func TestSupervise33Needs(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("the race detector needs more of everything")
	}
	// 1.5 GiB would do if the C library, in a build with cgo, did not take its share.
	p := run(t, plainCommand(t, append([]string{"sh", "-c", `ulimit -v 3145728; exec "$@"`, "sh"}, quietly(t, "sh", "-c", "echo ready; read x; exit 3")...)...))
	p.expect("ready")
	tasks, err := os.ReadDir("/proc/" + strconv.Itoa(p.Process.Pid) + "/task")
	if err != nil || len(tasks) > 9 {
		t.Errorf("%d threads, %v, want at most 9", len(tasks), err)
	}
	p.stdin.Close()
	p.ends("exit 3")
}

func TestSupervise34NoCommand(t *testing.T) {
	t.Parallel()
	for _, argv := range [][]string{{brsExec(t)}, {brsExec(t), "--"}, asPID1(t, brsExec(t), "--quiet", "--")} {
		p := run(t, plainCommand(t, argv...))
		p.ends("exit 125")
		if p.errors() == "" {
			t.Errorf("%q says nothing", argv)
		}
		if line, ok := <-p.lines; ok {
			t.Errorf("%q printed %q on standard output", argv, line)
		}
	}
}

// What nobody failed, so we must not.
func TestSuperviseUndisputed(t *testing.T) {
	t.Parallel()
	status := []string{"grep", "-E", "^(Umask|Uid|Gid|Groups|Sig(Blk|Ign|Cgt)|Cap|NoNewPrivs|Cpus_allowed_list)", "/proc/self/status"}
	attributes := []string{"cat", "/proc/self/limits", "/proc/self/cgroup", "/proc/self/oom_score_adj", "/proc/self/timerslack_ns"}
	sched := []string{"sh", "-c", "cut -d' ' -f18,19,40,41 /proc/$$/stat"}
	sh := func(script string) []string { return []string{"sh", "-c", script + `; exec "$@"`, "sh"} }
	for _, tt := range []struct{ prepare, probe []string }{
		{nil, status}, {nil, attributes}, {nil, sched},
		{sh("umask 0277"), status},
		{[]string{"nice", "-n", "7"}, sched},
		{sh("ulimit -n 64"), attributes},
		{sh("ulimit -S -n 256"), attributes},
		{sh("ulimit -S -n 1024"), attributes},
		{sh("ulimit -c 0"), attributes},
		{sh("ulimit -c unlimited"), attributes},
		{sh("echo 321 >/proc/self/oom_score_adj"), attributes},
		{[]string{"setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service", "--no-new-privs"}, status},
	} {
		if tt.prepare != nil {
			if _, err := exec.LookPath(tt.prepare[0]); err != nil {
				continue
			}
			if tt.prepare[0] == "setpriv" && os.Getuid() != 0 {
				continue
			}
		}
		sameAsBare(t, tt.prepare, tt.probe)
	}
	// argument bytes, a deleted directory, much input, many at once
	args := []string{"", "a b", "\xff\xfe\x01", "new\nline", "--", "--help", "$HOME", strings.Repeat("x", 100000)}
	sameAsBare(t, nil, append([]string{"/bin/sh", "-c", "cat /proc/$$/cmdline", "sh"}, args...))
	sameAsBare(t, sh("mkdir d; cd d; rmdir ../d"), []string{"readlink", "/proc/self/cwd"})
	sameAsBare(t, sh("head -c 50000000 /dev/zero >f; exec <f"), []string{"cksum"})
	sameAsBare(t, sh("head -c 20000000 /dev/zero |"), []string{"cksum"})
	var all []*live
	for range 20 {
		all = append(all, run(t, plainCommand(t, quietly(t, "sh", "-c", "exit 9")...)))
	}
	for _, p := range all {
		p.ends("exit 9")
	}
}

// --lock: the second run ends at once, with a code of its own; --subreaper.
func TestSuperviseLockAndSubreaper(t *testing.T) {
	t.Parallel()
	lock := filepath.Join(t.TempDir(), "lock")
	argv := []string{brsExec(t), "--quiet", "--lock", lock, "--", "sh", "-c", "echo ready; read x; exit 0"}
	p := run(t, plainCommand(t, argv...))
	p.expect("ready")
	second := run(t, plainCommand(t, argv...))
	second.ends("exit 75")
	p.stdin.Close()
	p.ends("exit 0")
	p = run(t, plainCommand(t, append([]string{brsExec(t), "--quiet", "--subreaper", "--"}, played(t, "orphans")...)...))
	p.expect("reaped")
	p.ends("exit 0")
}
