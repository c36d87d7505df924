package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// console is a pseudo-terminal, and what was written to it so far.
type console struct {
	t    testing.TB
	pty  *os.File
	cmd  *exec.Cmd
	mu   sync.Mutex
	seen string // all output
	mark int    // what of it expect has consumed
}

// newConsole starts argv as the leader of a session on a new terminal.
func newConsole(t testing.TB, env []string, argv ...string) *console {
	t.Helper()
	return newSession(t, env, true, argv...)
}

// newSession starts argv as the leader of a session with the terminal as its
// three files and, if control is set, as its controlling terminal.
func newSession(t testing.TB, env []string, control bool, argv ...string) *console {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	keepOutput(t, slave)
	cmd := command(t, argv...)
	cmd.Env = append(cmd.Env, "PS1=PROMPT> ", "TERM=dumb", "HISTFILE=")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: control}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	c := &console{t: t, pty: pollable(t, master), cmd: cmd}
	master = c.pty
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			c.mu.Lock()
			c.seen += string(buf[:n])
			c.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		killSession(cmd.Process.Pid)
		if cmd.ProcessState == nil {
			cmd.Wait()
		}
		master.Close()
		<-read
		if t.Failed() {
			t.Logf("the terminal:\n%s", c.seen)
		}
	})
	return c
}

// keepOutput sets NOFLSH: a typed signal would otherwise discard the output that
// the terminal has not passed on yet, and with it the answers.
func keepOutput(t testing.TB, slave *os.File) {
	t.Helper()
	modes, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	modes.Lflag |= unix.NOFLSH
	if err := unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, modes); err != nil {
		t.Fatal(err)
	}
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

// bash starts an interactive shell with job control; $W runs the wrapper, $R the
// reporting helper.
func bash(t testing.TB, env ...string) *console {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash")
	}
	c := newConsole(t, append(env,
		"W="+strings.Join(wrapped(t), " "),
		"R="+strings.Join(helper(t, "report"), " ")), "bash", "--norc", "--noprofile", "-i")
	c.expect("PROMPT> ")
	return c
}

// killSession ends what is left of a session.
func killSession(sid int) {
	for _, pid := range pids() {
		if f := statFields(pid); len(f) > 3 && string(f[3]) == strconv.Itoa(sid) {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

func pids() []int {
	var list []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

// typed writes to the terminal as a person would.
func (c *console) typed(s string) {
	c.t.Helper()
	if _, err := c.pty.WriteString(s); err != nil {
		c.t.Fatal(err)
	}
}

// expect waits for text, and returns what came before it.
func (c *console) expect(text string) string {
	c.t.Helper()
	var before string
	eventually(c.t, fmt.Sprintf("the terminal shows %q", text), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := strings.Index(c.seen[c.mark:], text)
		if i < 0 {
			return false
		}
		before = c.seen[c.mark : c.mark+i]
		c.mark += i + len(text)
		return true
	})
	return before
}

// pid waits for the reporting helper and returns its pid.
func (c *console) pid() int {
	c.t.Helper()
	c.expect("ready ")
	pid, err := strconv.Atoi(c.expect("\r\n"))
	if err != nil {
		c.t.Fatal(err)
	}
	return pid
}

// run types a command line and expects text in its output.
func (c *console) run(line, want string) string {
	c.t.Helper()
	c.typed(line + "\n")
	c.expect("\r\n") // the echo
	return c.expect(want)
}

func parent(pid int) int {
	f := statFields(pid)
	if len(f) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(string(f[1]))
	return ppid
}

// fence returns the signals that the helper under the wrapper has seen up to
// now. It sends USR1 to the wrapper for that, behind everything that the
// wrapper still forwards.
func (c *console) fence(child int) string {
	c.t.Helper()
	unix.Kill(parent(child), unix.SIGUSR1)
	return strings.Join(strings.Fields(strings.NewReplacer("^C", "", `^\`, "", "^Z", "", "PROMPT>", "").Replace(c.expect("USR1\r\n"))), " ")
}

func TestTypedSignalsArriveOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, line string }{
		{"alone", "$W $R"},
		{"first of a pipeline", "$W $R | (trap '' INT QUIT; cat)"},
		{"last of a pipeline", "(trap '' INT QUIT; echo; exec sleep 60) | (read x; exec $W $R)"},
		{"in a script", `sh -c 'trap : INT QUIT; '"$W $R"'; :'`},
		{"in a subshell", "(trap : INT QUIT; $W $R; :)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := bash(t)
			c.typed(tt.line + "\n")
			pid := c.pid()
			for _, key := range []struct{ name, key string }{{"INT", "\x03"}, {"QUIT", "\x1c"}} {
				for range 5 {
					c.typed(key.key)
					c.expect(key.name + "\r\n")
					if got := c.fence(pid); got != "" {
						t.Errorf("after one %s the command saw also %s", key.name, got)
					}
				}
			}
			for i := range 5 {
				if err := pty.Setsize(c.pty, &pty.Winsize{Rows: uint16(30 + i), Cols: 80}); err != nil {
					t.Fatal(err)
				}
				c.expect("WINCH\r\n")
				if got := c.fence(pid); got != "" {
					t.Errorf("after one WINCH the command saw also %s", got)
				}
			}
		})
	}
}

// What another process sends is forwarded although there is a terminal, once.
func TestSentSignalsArriveOnceAtATerminal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, line string }{
		{"alone", "$W $R"},
		{"pipeline", "$W $R | cat"},
		{"script", `sh -c "$W $R; :"`},
		{"background", `$W $R &`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := bash(t)
			c.typed(tt.line + "\n")
			pid := c.pid()
			shared := tt.name == "pipeline" || tt.name == "script"
			for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGWINCH, unix.SIGALRM, unix.SIGCONT, unix.SIGTSTP} {
				if shared && !siginfo.KnowsOrigin && sig != unix.SIGTERM && sig != unix.SIGHUP && sig != unix.SIGALRM {
					continue // taken for the terminal's, which has told the command as well
				}
				unix.Kill(parent(pid), sig)
				c.expect(SignalName(sig) + "\r\n")
				if got := c.fence(pid); got != "" {
					t.Errorf("after one %s the command saw also %s", SignalName(sig), got)
				}
			}
		})
	}
}

func TestCtrlZAndFg(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, line string }{
		{"alone", "$W $R default:TSTP"},
		{"first of a pipeline", "$W $R default:TSTP | (trap '' INT; cat)"},
		{"in a script", `sh -c 'trap : INT; '"$W $R default:TSTP"'; :'`},
		{"in a subshell", "(trap : INT; $W $R default:TSTP; :)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := bash(t)
			c.typed(tt.line + "\n")
			pid := c.pid()
			for range 3 {
				c.typed("\x1a")
				c.expect("Stopped")
				c.expect("PROMPT> ")
				eventually(t, "the command is stopped", func() bool { return stateOf(pid) == 'T' })
				eventually(t, "the wrapper is stopped", func() bool { return stateOf(parent(pid)) == 'T' })
				c.typed("fg\n")
				c.expect("CONT\r\n")
				c.typed("\x03") // the terminal is the command's again
				c.expect("INT\r\n")
				if got := c.fence(pid); got != "" {
					t.Errorf("the command saw also %s", got)
				}
			}
			unix.Kill(parent(pid), unix.SIGUSR2)
			c.expect("USR2\r\n")
			c.run("echo code $?", "code ")
		})
	}
}

func TestBgAndKill(t *testing.T) {
	t.Parallel()
	c := bash(t)
	c.typed("$W $R default:TSTP\n")
	pid := c.pid()
	c.typed("\x1a")
	c.expect("PROMPT> ")
	c.typed("bg\n")
	c.expect("CONT\r\n")
	c.run("echo the shell has the $((40+2)) terminal", "the shell has the 42 terminal")
	c.typed("kill %1\n")
	c.expect("TERM\r\n")
	if got := c.fence(pid); got != "" {
		t.Errorf("after kill %%1 the command saw also %s", got)
	}
	c.typed("fg\n") // bash sends no CONT to a job that runs
	c.expect("$W $R")
	eventually(t, "the wrapper has the terminal", func() bool { return foregroundOf(pid) == parent(pid) })
	c.typed("\x03")
	c.expect("INT\r\n")
	if got := c.fence(pid); got != "" {
		t.Errorf("after one INT the command saw also %s", got)
	}
	if fg := foregroundOf(pid); fg != pid {
		t.Errorf("foreground group = %d, want the command's %d", fg, pid)
	}
	unix.Kill(parent(pid), unix.SIGUSR2)
	c.expect("USR2\r\n")
	c.expect("PROMPT> ")
	c.run("echo code $?", "code 7")
}

// A running background job that is brought to the foreground reads the terminal,
// although bash tells nobody of it.
func TestFgOfARunningJobReads(t *testing.T) {
	t.Parallel()
	c := bash(t)
	c.typed(`$W sh -c 'trap "read x; echo read \$x" USR1; echo ready $$; kill -TSTP $$; while :; do sleep 20 & wait; done'` + "\n")
	pid := c.pid()
	c.expect("Stopped")
	c.expect("PROMPT> ")
	c.typed("bg\n")
	eventually(t, "the command runs", func() bool { return stateOf(pid) != 'T' })
	c.typed("fg\n")
	eventually(t, "the wrapper has the terminal", func() bool { return foregroundOf(pid) == parent(pid) })
	unix.Kill(pid, unix.SIGUSR1) // behind the wrapper's back
	c.typed("line\n")
	c.expect("read line\r\n")
}

// foregroundIs waits until the leader of the foreground group is the command of
// that name, and returns its pid.
func (c *console) foregroundIs(name string) (pid int) {
	c.t.Helper()
	eventually(c.t, name+" has the terminal", func() bool {
		pid = foregroundOf(c.cmd.Process.Pid)
		comm, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
		return string(comm) == name+"\n"
	})
	return pid
}

// foregroundOf returns the foreground process group of a process's terminal.
func foregroundOf(pid int) int {
	f := statFields(pid)
	if len(f) < 6 {
		return 0
	}
	n, _ := strconv.Atoi(string(f[5]))
	return n
}

func TestKillOfAStoppedJob(t *testing.T) {
	t.Parallel()
	c := bash(t)
	c.typed("$W sleep 100\n")
	child := c.foregroundIs("sleep")
	wrapper := parent(child)
	c.typed("\x1a")
	c.expect("PROMPT> ")
	c.typed("kill %1\n")
	// What bash says of it depends on when it looks, and is not always the end.
	eventually(t, "wrapper and command have ended", func() bool { return gonePid(wrapper) && gonePid(child) })
}

// A job started with & does not take the terminal, and may write to it.
func TestBackgroundStart(t *testing.T) {
	t.Parallel()
	c := bash(t)
	c.typed("$W sh -c 'echo out$((1+1)); read x; echo read $x' &\n")
	c.expect("out2\r\n")
	c.run("echo shell$((1+1))", "shell2\r\n")
	eventually(t, "the job is stopped by its read", func() bool {
		c.typed("jobs\n")
		c.expect("jobs\r\n")
		return strings.Contains(c.expect("PROMPT> "), "Stopped")
	})
	c.typed("fg\n")
	c.expect("\r\n")
	c.typed("line\n")
	c.expect("read line\r\n")
	c.expect("PROMPT> ")
}

// A command that is started again reads from the terminal as its first run did.
func TestRestartAtATerminal(t *testing.T) {
	t.Parallel()
	c := bash(t, wrapOptions{RestartOn: "VTALRM", Options: Options{StopTimeout: time.Hour}}.env(t))
	c.typed("$W $R default:TERM\n")
	for range 3 {
		unix.Kill(parent(c.pid()), unix.SIGVTALRM)
	}
	child := c.pid()
	c.typed("\x03")
	c.expect("INT\r\n")
	if got := c.fence(child); got != "" {
		t.Errorf("after one INT the command saw also %s", got)
	}
	if f := statFields(child); len(f) < 6 || string(f[2]) != strconv.Itoa(child) || string(f[5]) != strconv.Itoa(child) {
		t.Errorf("the command's group is %s, and the terminal's foreground %s; want %d for both", f[2], f[5], child)
	}
}

// As the leader of its session (ssh -t host brs-exec …) there is nobody who
// would continue us: Ctrl-Z must not wedge the session.
func TestSessionLeader(t *testing.T) {
	t.Parallel()
	c := newConsole(t, nil, wrapped(t, helper(t, "report", "default:TSTP")...)...)
	pid := c.pid()
	for range 3 {
		c.typed("\x03")
		c.expect("INT\r\n")
		if got := c.fence(pid); got != "" {
			t.Errorf("after one INT the command saw also %s", got)
		}
		c.typed("\x1a")
		c.expect("CONT\r\n")
		c.fence(pid)
	}
	c.typed("\x1c")
	c.expect("QUIT\r\n")
	unix.Kill(c.cmd.Process.Pid, unix.SIGUSR2)
	c.cmd.Wait()
	if got := statusOf(c.cmd.ProcessState); got != "exit 7" {
		t.Errorf("status = %s, want exit 7", got)
	}
}

// Without a controlling terminal nothing of this happens.
func TestNoControllingTerminal(t *testing.T) {
	t.Parallel()
	cmd := command(t, wrapped(t, helper(t, "report", "default:TSTP")...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	p := start(t, cmd)
	pid := p.ready()
	unix.Kill(pid, unix.SIGSTOP)
	eventually(t, "the command is stopped", func() bool { return stateOf(pid) == 'T' })
	p.signal(unix.SIGCONT)
	p.expect("CONT")
	p.signal(unix.SIGUSR2)
	p.expect("USR2")
	if got := p.status(); got != "exit 7" {
		t.Errorf("status = %s, want exit 7", got)
	}
}
