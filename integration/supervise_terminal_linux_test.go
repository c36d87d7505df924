package integration

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Rows 1 to 8 of the rules for wrappers: a terminal and a shell with job
// control. Where the peers disagree, the wrapped command is to behave as the bare
// one.

func TestSupervise01CtrlCOnce(t *testing.T) {
	t.Parallel()
	s := shell(t)
	s.typed("$W $R\n")
	pid := s.pid()
	for range 5 {
		for _, key := range []struct{ key, name string }{{"\x03", "SIGINT"}, {"\x1c", "SIGQUIT"}, {"\x1a", "SIGTSTP"}} {
			s.typed(key.key)
			s.expect(key.name + "\r\n")
			s.nothingElse(pid)
		}
	}
}

func TestSupervise02KillFromElsewhere(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"$W $R", "$W $R | cat", `sh -c "$W $R; :"`, "$W $R &"} {
		s := shell(t)
		s.typed(line + "\n")
		pid := s.pid()
		for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGWINCH, unix.SIGTERM, unix.SIGHUP} {
			unix.Kill(parentOf(pid), sig)
			s.expect(unix.SignalName(sig) + "\r\n")
			s.nothingElse(pid)
		}
	}
}

func TestSupervise03CtrlZAndFg(t *testing.T) {
	t.Parallel()
	s := shell(t)
	s.typed("$W $T\n")
	pid := s.pid()
	for range 3 {
		s.typed("\x1a")
		s.expect("Stopped")
		s.expect("PROMPT> ")
		s.do("echo the shell $((40+2))", "the shell 42\r\n")
		if !stopped(pid) || !stopped(parentOf(pid)) {
			t.Error("command and brs-exec are not both stopped")
		}
		s.typed("fg\n")
		s.expect("SIGCONT\r\n")
		s.typed("\x03")
		s.expect("SIGINT\r\n")
		s.nothingElse(pid)
	}
	s.typed("\x1a")
	s.expect("PROMPT> ")
	s.typed("bg\n")
	s.expect("SIGCONT\r\n")
	s.do("echo the shell $((40+3))", "the shell 43\r\n")
	s.typed("kill %1\n")
	s.expect("SIGTERM\r\n")
	s.nothingElse(pid)
}

func TestSupervise04Background(t *testing.T) {
	t.Parallel()
	s := shell(t)
	s.typed("$W sh -c 'echo out$((1+1)); exec sleep 50' &\n")
	s.expect("out2\r\n") // does not stop at its output
	s.do("echo the shell $((40+2))", "the shell 42\r\n")
	s.do("read x; echo got $x\nline", "got line\r\n")
}

func TestSupervise05TerminalIsGivenBack(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"true", "sh -c 'exit 3'", "sh -c 'kill -9 $$'", "/no/such/command", "/etc/passwd", "sh -c 'sleep 50 & exit 1'"} {
		s := shell(t)
		// as in a script: no shell with job control takes it back in between
		s.typed("exec bash -c \"$W " + strings.ReplaceAll(strings.ReplaceAll(command, "$", `\$`), `"`, `\"`) + " 2>/dev/null; read x; echo got \\$x\"\n")
		s.typed("line\n")
		s.expect("got line\r\n")
	}
}

func TestSupervise06Pipelines(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"$W $T | (trap '' INT; cat)",
		"(trap '' INT; echo; exec sleep 50) | (read x; exec $W $T)",
		`sh -c 'trap : INT; '"$W $T"'; :'`,
		"(trap : INT; $W $T; :)",
	} {
		s := shell(t)
		s.typed(line + "\n")
		pid := s.pid()
		for range 3 {
			s.typed("\x03")
			s.expect("SIGINT\r\n")
			s.nothingElse(pid)
			s.typed("\x1a")
			s.expect("Stopped")
			s.expect("PROMPT> ")
			until(t, "both are stopped", func() bool { return stopped(pid) && stopped(parentOf(pid)) })
			s.typed("fg\n")
			s.expect("SIGCONT\r\n")
			s.nothingElse(pid)
		}
	}
	s := shell(t)
	if _, err := exec.LookPath("less"); err == nil {
		s.typed("$W seq 100000 | TERM=vt100 less\n")
		s.expect("20\r\n")
		s.typed("G") // less has the terminal
		s.expect("100000\r\n")
		s.typed("q")
		s.expect("PROMPT> ")
	}
}

func TestSupervise07ControllingTerminal(t *testing.T) {
	t.Parallel()
	s := shell(t)
	s.do("$W sh -c 'test -t 0 && test -t 1 && test -t 2 && echo by /dev/tty > /dev/tty'", "by /dev/tty\r\n")
	s.expect("PROMPT> ")
	s.do("$W sh -c 'read x < /dev/tty; echo read $x'\nsecret", "read secret\r\n")
	s.expect("PROMPT> ")
	s.do("$W bash --norc -ic 'sleep 50 & echo jobs: $(jobs | wc -l); kill %1'", "jobs: 1\r\n") // a shell with jobs of its own
	s.expect("PROMPT> ")
}

func TestSupervise08StopSentByAProcess(t *testing.T) {
	t.Parallel()
	s := shell(t)
	s.typed("$W $R\n")
	pid := s.pid()
	unix.Kill(parentOf(pid), unix.SIGTSTP)
	s.expect("SIGTSTP\r\n")
	s.nothingElse(pid)
	unix.Kill(pid, unix.SIGSTOP) // it stops, so its job does
	s.expect("Stopped")
	s.expect("PROMPT> ")
	s.typed("fg\n")
	s.expect("SIGCONT\r\n")
	s.nothingElse(pid)
}

func TestSuperviseResizeOnce(t *testing.T) {
	t.Parallel()
	s := shell(t)
	s.typed("$W $R\n")
	pid := s.pid()
	for i := range 5 {
		size := unix.Winsize{Row: uint16(30 + i), Col: 80}
		if err := unix.IoctlSetWinsize(int(s.pty.Fd()), unix.TIOCSWINSZ, &size); err != nil {
			t.Fatal(err)
		}
		s.expect("SIGWINCH\r\n")
		s.nothingElse(pid)
	}
}

// The modes are left alone: by us, and for us as the command sets them.
func TestSuperviseTerminalModes(t *testing.T) {
	t.Parallel()
	s := shell(t)
	modes := func(line string) string {
		s.typed(line + "\n")
		s.expect("\r\n")
		return s.expect("PROMPT> ")
	}
	if wrapped, bare := modes("$W stty -a"), modes("stty -a"); wrapped != bare {
		t.Errorf("modes = %s, want %s", wrapped, bare)
	}
	s.do("$W stty -echoctl; stty -a", "-echoctl")
}

func TestSuperviseHangup(t *testing.T) {
	t.Parallel()
	s := shell(t)
	s.typed("$W sleep 50\n")
	var child int
	until(t, "the command has the terminal", func() bool {
		child = statNumber(s.cmd.Process.Pid, statForeground)
		return child != s.cmd.Process.Pid && parentOf(parentOf(child)) == s.cmd.Process.Pid
	})
	wrapper := parentOf(child)
	s.pty.Close()
	until(t, "all have ended", func() bool { return ended(child) && ended(wrapper) })
}

// ssh -t host brs-exec …: the leader of its session, which nobody would continue.
func TestSuperviseSessionLeader(t *testing.T) {
	t.Parallel()
	s := onTerminal(t, true, nil, quietly(t, played(t, "report", "SIGTSTP")...)...)
	pid := s.pid()
	for range 3 {
		s.typed("\x03")
		s.expect("SIGINT\r\n")
		s.nothingElse(pid)
		s.typed("\x1a")
		s.expect("SIGCONT\r\n")
		s.nothingElse(pid)
	}
	unix.Kill(parentOf(pid), unix.SIGUSR2)
	s.cmd.Wait()
	if got := statusOf(s.cmd); got != "exit 7" {
		t.Errorf("status = %s, want exit 7", got)
	}
}

// docker run -t: PID 1 leads the session.
func TestSupervisePID1AtATerminal(t *testing.T) {
	t.Parallel()
	argv := asPID1(t, append([]string{"setsid", "--ctty"}, quietly(t, played(t, "report", "SIGTSTP")...)...)...)
	s := onTerminal(t, false, nil, argv...)
	s.pid()
	for _, key := range []struct{ key, name string }{{"\x03", "SIGINT"}, {"\x1c", "SIGQUIT"}, {"\x03", "SIGINT"}} {
		s.typed(key.key)
		s.expect(key.name + "\r\n")
		s.typed("\x1a")
		if before := s.expect("SIGCONT\r\n"); strings.Contains(before, "SIG") {
			t.Errorf("after one %s the command saw also %s", key.name, before)
		}
	}
}

// Interactive programs that live on the terminal.
func TestSuperviseInteractivePrograms(t *testing.T) {
	t.Parallel()
	t.Run("python", func(t *testing.T) {
		t.Parallel()
		if _, err := exec.LookPath("python3"); err != nil {
			t.Skip(err)
		}
		s := shell(t)
		s.typed("$W python3 -q -i -c 'import sys; sys.ps1=\"RE\" + \"PL \"'\n")
		s.expect("REPL ")
		s.interrupt("KeyboardInterrupt")
		s.expect("REPL ")
		s.typed("\x1a")
		s.expect("Stopped")
		s.expect("PROMPT> ")
		s.typed("fg\n")
		s.typed("print(6*7)\n")
		s.expect("42\r\n")
		s.typed("exit(3)\n")
		s.expect("PROMPT> ")
		s.do("echo code $?", "code 3\r\n")
	})
	t.Run("vi", func(t *testing.T) {
		t.Parallel()
		editor := ""
		for _, name := range []string{"vim", "vim.tiny", "vi", "nano"} {
			if _, err := exec.LookPath(name); err == nil && editor == "" {
				editor = name
			}
		}
		if editor == "" || editor == "nano" {
			t.Skip("no vi")
		}
		s := shell(t)
		s.typed(fmt.Sprintf("TERM=vt100 $W %s -u NONE file\n", editor))
		s.expect("~")
		s.typed("ihello\x1b:w\n")
		s.expect("written")
		s.typed("\x1a")
		s.expect("Stopped")
		s.expect("PROMPT> ")
		s.typed("fg\n")
		s.expect("hello")
		s.typed(":q\n")
		s.expect("PROMPT> ")
		s.do("cat file", "hello\r\n")
	})
}
