package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// asInit returns a command that runs argv as PID 1 of a new PID namespace with
// its own /proc, which takes root.
func asInit(t testing.TB, argv ...string) *exec.Cmd {
	t.Helper()
	flags := []string{"--pid", "--fork", "--mount-proc", "--kill-child"}
	if out, err := exec.Command("unshare", append(flags, "true")...).CombinedOutput(); err != nil {
		t.Skipf("a new PID namespace is not permitted: %v: %s", err, out)
	}
	return command(t, append(append([]string{"unshare"}, flags...), argv...)...)
}

// needsStatic skips a test if the test binary needs the C library, as it does with
// the race detector.
func needsStatic(t testing.TB) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip(err)
	}
	if bytes.Contains(maps, []byte("/ld-")) {
		t.Skip("the test binary is linked dynamically")
	}
}

// childOf waits for a process to have a child, and returns it.
func childOf(t testing.TB, pid int) (child int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d has a child", pid), func() bool {
		for _, other := range pids() {
			if parent(other) == pid {
				child = other
			}
		}
		return child != 0
	})
	return child
}

func TestInitExitCode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ script, want string }{
		{"exit 0", "exit 0"},
		{"exit 3", "exit 3"},
		{"kill -TERM $$", "exit 143"},
		{"kill -SEGV $$", "exit 139"},
		{"sleep 100 & exit 5", "exit 5"}, // does not wait for what remains
		{"(sleep 100 &); kill -9 $$", "exit 137"},
	} {
		t.Run(tt.script, func(t *testing.T) {
			t.Parallel()
			p := start(t, asInit(t, wrapped(t, "/bin/sh", "-c", "ulimit -c 0; "+tt.script)...))
			if got := p.status(); got != tt.want {
				t.Errorf("status = %s, want %s", got, tt.want)
			}
			if p.stderr.Len() > 0 {
				t.Errorf("standard error = %q, want nothing", p.stderr)
			}
		})
	}
}

func TestInitForwardsSignals(t *testing.T) {
	t.Parallel()
	p := start(t, asInit(t, wrapped(t, helper(t, "report")...)...))
	p.ready()
	init := childOf(t, p.Process.Pid)
	for _, sig := range forwarded() {
		if sig == unix.SIGUSR2 {
			continue
		}
		unix.Kill(init, sig)
		p.expect(SignalName(sig))
	}
	unix.Kill(init, unix.SIGUSR2)
	p.expect("USR2")
	if got := p.status(); got != "exit 7" {
		t.Errorf("status = %s, want exit 7", got)
	}
}

func TestInitIsSmall(t *testing.T) {
	t.Parallel()
	needsStatic(t)
	p := start(t, asInit(t, wrapped(t, "/bin/sh", "-c", "echo ready; read x")...))
	p.expect("ready")
	init := childOf(t, p.Process.Pid)
	// With what it uses of its file it is about 2.5 MB; now and then the kernel maps one more.
	own, rss := 0, 0
	eventually(t, "the stage is idle and small", func() bool {
		own, rss = statusField(t, init, "RssAnon:"), statusField(t, init, "VmRSS:")
		return own > 0 && own <= 3<<9 && rss <= 4<<10
	})
	t.Logf("resident: %d kB, anonymous: %d kB", rss, own)
	p.stdin.Close()
	p.status()
}

// statusField returns a number of /proc/PID/status.
func statusField(t testing.TB, pid int, name string) int {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if f := bytes.Fields(line); len(f) > 1 && string(f[0]) == name {
			n, _ := strconv.Atoi(string(f[1]))
			return n
		}
	}
	return 0
}

func init() {
	// orphans leaves 50 of them, and says when each is gone, not even a zombie.
	register("orphans", func([]string) {
		var list []int
		for range 50 {
			out, err := exec.Command("/bin/sh", "-c", "sleep 0.5 >/dev/null 2>&1 & echo $!").Output()
			if err != nil {
				panic(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
			if err != nil {
				panic(err)
			}
			list = append(list, pid)
		}
		fmt.Println("adopted by", parent(list[len(list)-1]) == os.Getppid() || parent(list[len(list)-1]) == parent(os.Getppid()))
		for _, pid := range list {
			for stateOf(pid) != 0 {
				sched()
			}
		}
		fmt.Println("reaped")
	})
}

func sched() { unix.Poll(nil, 1) }

func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	t.Run("init", func(t *testing.T) {
		t.Parallel()
		p := start(t, asInit(t, wrapped(t, helper(t, "orphans")...)...))
		p.expect("adopted by true")
		p.expect("reaped")
		if got := p.status(); got != "exit 0" {
			t.Errorf("status = %s, want exit 0", got)
		}
	})
	t.Run("subreaper", func(t *testing.T) {
		t.Parallel()
		cmd := command(t, wrapped(t, helper(t, "orphans")...)...)
		cmd.Env = append(cmd.Env, wrapOptions{Subreap: true}.env(t))
		p := start(t, cmd)
		p.expect("adopted by true")
		p.expect("reaped")
		if got := p.status(); got != "exit 0" {
			t.Errorf("status = %s, want exit 0", got)
		}
	})
}

func TestSubreaper(t *testing.T) {
	t.Parallel()
	cmd := command(t, wrapped(t, helper(t, "report")...)...)
	cmd.Env = append(cmd.Env, wrapOptions{Subreap: true}.env(t))
	p := start(t, cmd)
	child := p.ready()
	if parent(parent(child)) != p.Process.Pid {
		t.Errorf("the command's grandparent is %d, want %d", parent(parent(child)), p.Process.Pid)
	}
	p.signal(unix.SIGTERM)
	p.expect("TERM")
	unix.Kill(child, unix.SIGKILL)
	if got := p.status(); got != "signal KILL" {
		t.Errorf("status = %s, want signal KILL", got)
	}
}

// At a terminal, stage, worker and command see each key once between them.
func TestStageAtATerminal(t *testing.T) {
	t.Parallel()
	t.Run("init", func(t *testing.T) {
		t.Parallel()
		// as docker run -t does it: PID 1 leads the session
		cmd := asInit(t, append([]string{"setsid", "--ctty"}, wrapped(t, helper(t, "report", "default:TSTP")...)...)...)
		c := newSession(t, nil, false, cmd.Args...)
		c.expect("ready ")
		c.expect("\r\n")
		for _, key := range []struct{ key, name string }{{"\x03", "INT"}, {"\x1c", "QUIT"}, {"\x03", "INT"}} {
			c.typed(key.key)
			c.expect(key.name + "\r\n")
			c.typed("\x1a") // nobody would ever continue it
			if got := strings.TrimSpace(strings.TrimLeft(c.expect("CONT\r\n"), `^\Z`)); got != "" {
				t.Errorf("after %s the command saw %q", key.name, got)
			}
		}
	})
	t.Run("subreaper in a shell", func(t *testing.T) {
		t.Parallel()
		for _, line := range []string{"$W $R default:TSTP", "$W $R default:TSTP | (trap '' INT; cat)"} {
			c := bash(t, wrapOptions{Subreap: true}.env(t))
			c.typed(line + "\n")
			pid := c.pid()
			for range 3 {
				c.typed("\x03")
				c.expect("INT\r\n")
				if got := c.fence(pid); got != "" {
					t.Errorf("after one INT the command saw also %s", got)
				}
				c.typed("\x1a")
				c.expect("Stopped")
				c.expect("PROMPT> ")
				for _, p := range []int{pid, parent(pid), parent(parent(pid))} {
					eventually(t, "all are stopped", func() bool { return stateOf(p) == 'T' })
				}
				c.typed("fg\n")
				c.expect("CONT\r\n")
				if got := c.fence(pid); got != "" {
					t.Errorf("after fg the command saw also %s", got)
				}
			}
			if !siginfo.KnowsOrigin && strings.Contains(line, "|") {
				continue // it would be taken for the terminal's, which has told all
			}
			unix.Kill(parent(parent(pid)), unix.SIGINT) // the stage alone
			c.expect("INT\r\n")
			if got := c.fence(pid); got != "" {
				t.Errorf("after one INT the command saw also %s", got)
			}
		}
	})
}

// In an image made FROM scratch: nothing but the program, read-only, without
// /proc and /dev, as a user that is in no file.
func TestInitFromScratch(t *testing.T) {
	t.Parallel()
	needsStatic(t)
	root := t.TempDir()
	program, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "program"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := root; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
	use("wrap", "report")
	cmd := asInit(t, "/bin/sh", "-ec", `mount --bind "$0" "$0"; mount -o remount,ro,bind "$0"; exec chroot --userspec=65532:65532 "$0" /program wrap /program report`, root)
	cmd.Dir = "/"
	p := start(t, cmd)
	if pid := p.ready(); pid == 1 {
		t.Error("the command is PID 1 itself")
	}
	init := childOf(t, p.Process.Pid)
	unix.Kill(init, unix.SIGTERM)
	p.expect("TERM")
	unix.Kill(init, unix.SIGUSR2)
	p.expect("USR2")
	if got := p.status(); got != "exit 7" {
		t.Errorf("status = %s, want exit 7", got)
	}
}

func TestHooksUnderInit(t *testing.T) {
	t.Parallel()
	p := start(t, asInit(t, helper(t, "hooks")...))
	p.ready()
	if line := p.line(); line != "hooks: 200 of 200, other group" {
		t.Errorf("got %q", line)
	}
	p.stdin.Close()
	if got := p.status(); got != "exit 7" {
		t.Errorf("status = %s, want exit 7", got)
	}
}

// Sockets of systemd: LISTEN_PID is the command's own pid, if it was ours.
func TestListenPID(t *testing.T) {
	t.Parallel()
	noShebang := script(t, "noshebang", "echo $LISTEN_PID $$ $LISTEN_FDS $1; cat <&3")
	for _, tt := range []struct {
		name string
		pid  string // as the shell that becomes the wrapper sets it
		argv []string
		same bool
	}{
		{"ours", "$$", []string{"/bin/sh", "-c", "echo $LISTEN_PID $$ $LISTEN_FDS x; cat <&3"}, true},
		{"script without #!", "$$", []string{noShebang, "x"}, true},
		{"another's", "1", []string{"/bin/sh", "-c", "echo $LISTEN_PID $$ $LISTEN_FDS x; cat <&3"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, append([]string{"/bin/sh", "-c", `export LISTEN_PID="` + tt.pid + `" LISTEN_FDS=1; exec "$@" 3<"$0"`, script(t, "third", "third\n")}, wrapped(t, tt.argv...)...)...)
			p := start(t, cmd)
			f := strings.Fields(p.line())
			if len(f) != 4 || f[2] != "1" || f[3] != "x" {
				t.Fatalf("got %q", f)
			}
			if same := f[0] == f[1]; same != tt.same {
				t.Errorf("LISTEN_PID = %s in process %s", f[0], f[1])
			}
			p.expect("third")
			if got := p.status(); got != "exit 0" {
				t.Errorf("status = %s, want exit 0", got)
			}
		})
	}
	t.Run("init", func(t *testing.T) {
		t.Parallel()
		cmd := asInit(t, wrapped(t, "/bin/sh", "-c", "test $LISTEN_PID = $$ && test $$ != 1 && env | grep -c _BRS_EXEC_STAGE")...)
		cmd.Env = append(cmd.Env, "LISTEN_PID=1", "LISTEN_FDS=1")
		p := start(t, cmd)
		p.expect("0")
		p.status()
	})
}
