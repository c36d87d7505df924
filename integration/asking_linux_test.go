package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// askingShell is an interactive shell in the world w: $B is brs-exec, $ask a program that
// prints credentials once it has been told the right code on the terminal, $asked counts its runs.
func askingShell(t *testing.T, w *world, body string, life time.Duration) *screen {
	t.Helper()
	const set = `{"Version":1,"AccessKeyId":"ASIAASKED","SecretAccessKey":"s","SessionToken":"t","Expiration":"%s"}`
	ask := w.script("ask", "echo >>"+w.path("asked")+"\n"+body+fmt.Sprintf(`
test "$code" = 111111 || exit 1
printf '%s' "$(date -u -d '+%d seconds' +%%Y-%%m-%%dT%%H:%%M:%%SZ)"
`, set, life/time.Second))
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL")
	w.write("config", "[profile asks]\nregion = eu-central-1\ncredential_process = "+ask+"\n")
	env := append(w.environ(), "B="+brsExec(t), "ask="+ask, "TERM=dumb", "PS1=PROMPT> ", "HISTFILE=")
	s := onTerminal(t, true, env, "bash", "--norc", "--noprofile", "-i")
	s.expect("PROMPT> ")
	return s
}

const (
	asksTerminal = "exec 3<>/dev/tty || exit 7\nprintf 'Passcode: ' >&3\nread -r code <&3"
	asksInput    = "printf 'Passcode: ' >&2\nread -r code"
	asksHidden   = "exec 3<>/dev/tty || exit 7\nstty -echo <&3\nprintf 'Passcode: ' >&3\nread -r code <&3\nstty echo <&3"
)

// TestAsking: at the start a program may ask for something on the terminal, as it may
// under the AWS CLI.
func TestAsking(t *testing.T) {
	t.Parallel()
	const started = ` -- sh -c 'grep -q ASIAASKED "$AWS_SHARED_CREDENTIALS_FILE" && echo started; read x; echo got $x'`
	tests := []struct {
		name, body, args string
		typed            []string
	}{
		{"command", asksTerminal, "--credential-command $ask", []string{"111111"}},
		{"profile", asksTerminal, "--profile asks", []string{"111111"}},
		{"on standard input", asksInput, "--credential-command $ask", []string{"111111"}},
		{"without an echo", asksHidden, "--profile asks", []string{"111111"}},
		{"mistyped", asksTerminal, "--credential-command $ask", []string{"222222", "111111"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			s := askingShell(t, w, tt.body, time.Hour)
			s.typed("$B --deliver file " + tt.args + started + "\n")
			for _, code := range tt.typed {
				s.expect("Passcode: ")
				s.typed(code + "\n")
			}
			s.expect("started\r\n")
			s.typed("line\n") // the command has the terminal now
			s.expect("got line\r\n")
			s.expect("PROMPT> ")
			if n := strings.Count(w.read("asked"), "\n"); n != len(tt.typed) {
				t.Errorf("the program was run %d times, want %d", n, len(tt.typed))
			}
		})
	}
}

// TestAskingLater: once the command has the terminal a program that asks fails at once,
// with a hint, and what is typed is the command's.
func TestAskingLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	s := askingShell(t, w, asksTerminal, 30*time.Second)
	s.typed("$B --deliver file --credential-command $ask --log-level warn -- sh -c 'echo started; while read x; do echo got $x; done'\n")
	s.expect("Passcode: ")
	s.typed("111111\n")
	s.expect("started\r\n")
	s.expect("command ask: exit status")
	s.expect("it cannot ask anything")
	s.typed("222222\n")
	s.expect("got 222222\r\n")
	s.typed("\x04")
	s.expect("PROMPT> ")
	s.do("echo rc $?", "rc 0\r\n")
	if all := s.all(); strings.Contains(all, "Stopped") || strings.Contains(all, "command not found") {
		t.Error("something was stopped, or typed to the shell")
	}
}

// TestAskingEnds: what was typed for a program that is ended is not the shell's, which
// gets its terminal back as it was.
func TestAskingEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	s := askingShell(t, w, "stty -echo </dev/tty\nprintf 'Passcode: ' >/dev/tty\ntrap '' INT\nsleep 1000", time.Hour)
	s.typed("$B --credential-command $ask -- true\n")
	s.expect("Passcode: ")
	s.typed("touch " + w.path("typed") + "\n\x03")
	s.expect("PROMPT> ")
	s.do("echo rc $?; stty -a | grep -ow -e '-*echo'", "rc 130\r\necho\r\n")
	if _, err := os.Stat(w.path("typed")); err == nil {
		t.Error("the shell has run what was typed for the program")
	}
}

// TestAskingInTheBackground: there the terminal is somebody else's, and nothing is stopped
// because of it.
func TestAskingInTheBackground(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	s := askingShell(t, w, asksTerminal, time.Hour)
	s.typed("$B --start-timeout 20s --credential-command $ask -- true & wait; echo rc $?\n")
	s.expect("command ask: exit status")
	s.expect("it cannot ask anything")
	s.expect("PROMPT> ")
	if strings.Contains(s.all(), "Stopped") {
		t.Error("brs-exec was stopped")
	}
}
