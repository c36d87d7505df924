package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func init() {
	// with changes what is inherited, and becomes another command: "block:USR1",
	// "ignore:HUP", …, "--", command.
	register("with", func(args []string) {
		runtime.LockOSThread()
		for i, arg := range args {
			kind, name, _ := strings.Cut(arg, ":")
			sig, _ := ParseSignal(name)
			switch kind {
			case "block":
				var set unix.Sigset_t
				set.Val[0] = 1 << (sig - 1)
				if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil); err != nil {
					panic(err)
				}
			case "ignore":
				signal.Ignore(sig)
			case "--":
				path, err := exec.LookPath(args[i+1])
				if err != nil {
					panic(err)
				}
				panic(syscall.Exec(path, args[i+1:], os.Environ()))
			}
		}
	})
}

// What the command finds is what it finds without us: each probe runs bare and
// wrapped after the same preparation.
func TestInheritance(t *testing.T) {
	t.Parallel()
	status := []string{"grep", "-E", "^(Umask|Uid|Gid|Groups|Sig(Blk|Ign|Cgt)|Cap|NoNewPrivs|Seccomp|Speculation|Cpus|Mems)", "/proc/self/status"}
	attributes := []string{"cat", "/proc/self/limits", "/proc/self/cgroup", "/proc/self/oom_score_adj", "/proc/self/personality", "/proc/self/timerslack_ns", "/proc/self/loginuid", "/proc/self/coredump_filter"}
	session := []string{"sh", "-c", "cut -d' ' -f5-8,18,19 /proc/$$/stat | sed s/$$/own/"}
	files := []string{"sh", "-c", "for fd in /proc/$$/fd/*; do echo ${fd##*/} $(readlink $fd) $(grep flags /proc/$$/fdinfo/${fd##*/}); done"}
	sh := func(script string) []string { return []string{"sh", "-c", script + `; exec "$@"`, "sh"} }
	with := func(args ...string) []string { return append(helper(t, "with", args...), "--") }
	for _, tt := range []struct {
		name    string
		prepare []string
		probes  [][]string
	}{
		{"plain", nil, [][]string{status, attributes, session, files}},
		{"umask", sh("umask 0277"), [][]string{status}},
		{"nice", []string{"nice", "-n", "7"}, [][]string{session}},
		{"open files 64", sh("ulimit -n 64"), [][]string{attributes}},
		{"open files, soft 256", sh("ulimit -S -n 256"), [][]string{attributes}},
		{"open files, soft 1024", sh("ulimit -S -n 1024"), [][]string{attributes}},
		{"no core", sh("ulimit -c 0"), [][]string{attributes}},
		{"cores", sh("ulimit -c unlimited"), [][]string{attributes}},
		{"oom score", sh("echo 321 >/proc/self/oom_score_adj"), [][]string{attributes}},
		{"affinity", []string{"taskset", "1"}, [][]string{status}},
		{"another user", []string{"setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service", "--no-new-privs"}, [][]string{status}},
		{"blocked", with("block:USR1", "block:TSTP", "block:TTOU", "block:PIPE", "block:40"), [][]string{status}},
		{"ignored HUP", with("ignore:HUP"), [][]string{status}},
		{"ignored INT", with("ignore:INT"), [][]string{status}},
		{"ignored TSTP, TTIN, TTOU, CONT", with("ignore:TSTP", "ignore:TTIN", "ignore:TTOU", "ignore:CONT"), [][]string{status}},
		{"more files", sh("exec 3</etc/passwd 7>/dev/null 12<&3 9<>/dev/null"), [][]string{files}},
		{"deleted directory", sh("mkdir d; cd d; rmdir ../d"), [][]string{{"readlink", "/proc/self/cwd"}, {"pwd", "-P"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.prepare != nil {
				if _, err := exec.LookPath(tt.prepare[0]); err != nil {
					t.Skip(err)
				}
			}
			dir := t.TempDir()
			os.Chmod(dir, 0o777)
			os.Chmod(filepath.Dir(dir), 0o755)
			for _, probe := range tt.probes {
				run := func(argv []string) string {
					cmd := command(t, append(tt.prepare[:len(tt.prepare):len(tt.prepare)], argv...)...)
					cmd.Dir = dir
					out, err := cmd.CombinedOutput()
					return fmt.Sprintf("%s%v", strings.ReplaceAll(uncovered(out), dir, "DIR"), err)
				}
				bare, wrapped := run(probe), run(wrapped(t, probe...))
				if probe[0] == "sh" { // pipes have numbers
					bare, wrapped = pipeNumbers(bare), pipeNumbers(wrapped)
				}
				if diff := cmp.Diff(bare, wrapped); diff != "" {
					t.Errorf("%v (-bare +wrapped):\n%s", probe, diff)
				}
			}
		})
	}
}

func pipeNumbers(s string) string {
	var out []string
	for _, f := range strings.Fields(s) {
		if strings.HasPrefix(f, "pipe:[") {
			f = "pipe"
		}
		out = append(out, f)
	}
	return strings.Join(out, " ")
}

// The signals whose disposition only the runtime knows.
func TestIgnoredAtStartKnownToTheRuntimeOnly(t *testing.T) {
	t.Parallel()
	program := self(t)
	build := filepath.Join(t.TempDir(), "fwdsig.test")
	cmd := exec.Command("go", "test", "-c", "-tags", "brs_fwdsig", "-ldflags=-checklinkname=0", "-o", build, ".")
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the tagged program: %v: %s", err, out)
	}
	use("with", "wrap")
	names := []string{"QUIT", "TERM", "PIPE", "USR1", "USR2", "ALRM", "WINCH", "VTALRM", "IO", "HUP", "INT", "TSTP"}
	for _, name := range names {
		sig, err := ParseSignal(name)
		if err != nil {
			t.Fatal(err)
		}
		run := func(argv ...string) string {
			out, err := command(t, append([]string{program, "with", "ignore:" + name, "--"}, argv...)...).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %v: %s", argv, err, out)
			}
			return string(out)
		}
		probe := []string{"grep", "SigIgn", "/proc/self/status"}
		bare := run(probe...)
		if !inSet([]byte("\n"+bare), "\nSigIgn:\t", sig) {
			t.Fatalf("%s is not ignored in the bare command: %s", name, bare)
		}
		if diff := cmp.Diff(bare, run(append([]string{build, "wrap"}, probe...)...)); diff != "" {
			t.Errorf("%s (-bare +wrapped):\n%s", name, diff)
		}
	}
}

// What was ignored stays ignored by the command, but if the command handles it
// nevertheless, it gets it.
func TestIgnoredSignalsReachAHandler(t *testing.T) {
	t.Parallel()
	p := start(t, command(t, append(helper(t, "with", "ignore:HUP", "ignore:INT", "--"), wrapped(t, helper(t, "report")...)...)...))
	p.ready()
	for _, sig := range []syscall.Signal{unix.SIGHUP, unix.SIGINT} {
		p.signal(sig)
		p.expect(SignalName(sig))
	}
	p.signal(unix.SIGUSR2)
	p.expect("USR2")
	p.status()
}

func TestArgumentsAndEnvironmentAreBytes(t *testing.T) {
	t.Parallel()
	args := []string{"", "a b", "\xff\xfe\x01", "new\nline", "--", "$HOME", strings.Repeat("x", 100000)}
	var env []string
	for i := range 1000 {
		env = append(env, fmt.Sprintf("VAR_%d=\xff %d\n\\ü", i, i))
	}
	env = append(env, "DOUBLE=1", "GORACE="+os.Getenv("GORACE"), "PATH="+os.Getenv("PATH"), "=odd", "lower.case-odd name=x")
	run := func(argv ...string) []byte {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append([]string{helperEnv + "=1"}, env...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, probe := range [][]string{append([]string{"/bin/sh", "-c", "cat /proc/$$/cmdline", "sh"}, args...), {"cat", "/proc/self/environ"}} {
		bare, wrapped := run(probe...), run(wrapped(t, probe...)...)
		if !bytes.Equal(bare, wrapped) {
			t.Errorf("%.100q: %d bytes bare, %d wrapped", probe, len(bare), len(wrapped))
		}
	}
	// none at all
	cmd := exec.Command(self(t), append([]string{"wrap"}, "/usr/bin/env")...)
	cmd.Env = []string{helperEnv + "=1"}
	if out, err := cmd.CombinedOutput(); err != nil || uncovered(out) != helperEnv+"=1\n" {
		t.Errorf("environment = %q, %v", out, err)
	}
}

// With Once we hold nothing of the child's: pipes see their end, the directory
// can go.
func TestManners(t *testing.T) {
	t.Parallel()
	closed, extra, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, wrapped(t, "/bin/sh", "-c", "exec 3>&-; echo ready; exec 1>&-; read x; exit 3")...)
	cmd.ExtraFiles = []*os.File{extra}
	cmd.Env = append(cmd.Env, wrapOptions{Options: Options{Once: true, LeaveDir: true}}.env(t))
	p := start(t, cmd)
	extra.Close()
	p.expect("ready")
	if line, ok := <-p.lines; ok { // closed by the command
		t.Errorf("got %q, want the end of the output", line)
	}
	if n, err := closed.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read of descriptor 3: %d, %v, want the end", n, err)
	}
	pid := p.Process.Pid
	cwd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	if os.Getuid() != 0 {
		t.Log("NOT TESTED: our directory, which nobody but root can look at")
	} else if err != nil || cwd != "/" {
		t.Errorf("our directory = %s, %v, want /", cwd, err)
	}
	if n := statusField(t, pid, "Threads:"); n > 9 {
		t.Errorf("%d threads, want at most 9", n)
	}
	p.stdin.Close()
	if got := p.status(); got != "exit 3" {
		t.Errorf("status = %s, want exit 3", got)
	}
	// the writer to our input sees that nobody reads it
	p = start(t, func() *exec.Cmd {
		cmd := command(t, wrapped(t, "/bin/sh", "-c", "exec 0<&-; echo ready; sleep 60")...)
		cmd.Env = append(cmd.Env, wrapOptions{Options: Options{Once: true}}.env(t))
		return cmd
	}())
	p.expect("ready")
	eventually(t, "a write to an input that the command has closed fails", func() bool {
		_, err := p.stdin.Write([]byte("x"))
		return err != nil
	})
	p.signal(unix.SIGTERM)
	p.status()
}

// A standard error that nobody reads any more does not end us: HoldPipe. (What
// brs-exec says goes through logfile, which needs no help; what a package writes to
// os.Stderr or os.Stdout does.)
func TestStandardErrorWithoutReader(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, wrapped(t, "/no/such/command")...)
	cmd.Stderr = w
	r.Close()
	p := start(t, cmd)
	w.Close()
	if got := p.status(); got != "exit 127" {
		t.Errorf("status = %s, want exit 127", got)
	}
}
