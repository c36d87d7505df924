package integration

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
)

const demoTop = "\x1b[H" // of each frame

// demoOnTerminal starts the demo on a terminal. ended waits for it.
func demoOnTerminal(t *testing.T, life string, rows, columns uint16, variables ...string) (cmd *exec.Cmd, resize func(rows, columns uint16), key func(string), screen *output, ended func()) {
	w := newWorld(t, time.Hour)
	w.bare()
	cmd = exec.Command(brsExec(t), "demo", "--life", life)
	cmd.Env = append(append(w.environ(), "TERM=xterm"), variables...)
	master, screen, ended := startOnTerminal(t, cmd, rows, columns)
	return cmd, func(rows, columns uint16) {
		if err := pty.Setsize(master, &pty.Winsize{Rows: rows, Cols: columns}); err != nil {
			t.Fatal(err)
		}
	}, func(s string) { fmt.Fprint(master, s) }, screen, ended
}

// TestDemoScreen: in a terminal the demo is one screen, drawn in place, which ends with what was
// shown and leaves the terminal as it was.
func TestDemoScreen(t *testing.T) {
	slow(t)
	t.Parallel()
	cmd, _, _, screen, ended := demoOnTerminal(t, "10s", 24, 80)
	ended()
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	got := screen.String()
	frames := strings.Split(got, demoTop)
	if len(frames) < 10 || frames[0] != "" {
		t.Fatalf("%d frames, and before the first one %q", len(frames), frames[0])
	}
	if strings.Contains(got, "\x1b[?") {
		t.Error("a mode of the terminal is changed, which outlasts a demo that is killed")
	}
	colours := regexp.MustCompile(`\x1b\[\d*m`)
	for i, frame := range frames[1:] {
		plain := strings.NewReplacer("\x1b[K", "", "\x1b[J", "", "\r", "").Replace(colours.ReplaceAllString(frame, ""))
		lines := strings.Split(plain, "\n")
		if len(lines) > 24 {
			t.Errorf("frame %d has %d lines:\n%s", i, len(lines), plain)
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); n > 80 || strings.Contains(line, "\x1b") {
				t.Errorf("frame %d, %d columns: %q", i, n, line)
			}
		}
	}
	last := frames[len(frames)-1]
	if !strings.Contains(last, "\x1b[32mok") {
		t.Errorf("at the end no call is green:\n%q", last)
	}
	for _, want := range []string{"CREDENTIALS", "CALLS WITH brs-exec", "WITHOUT IT: KEYS EXPORTED ONCE", "ExpiredToken", "\nShown: ", ", all ok, on ", "\nNext:\r\n"} {
		if !strings.Contains(last, want) {
			t.Errorf("at the end %q is not on the screen:\n%s", want, last)
		}
	}
	if !strings.HasSuffix(got, "run it on the real AWS\r\n") {
		t.Errorf("the last line is not at its end: %q", last)
	}
}

// TestDemoInterrupted: Ctrl-C ends the demo at once, below the screen, which follows the size of
// the terminal until then.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	cmd, resize, key, screen, ended := demoOnTerminal(t, "5m", 24, 80, "NO_COLOR=1")
	eventually(t, patience, "calls on the screen", func() bool { return strings.Contains(screen.String(), "  ok") })
	resize(22, 100)
	eventually(t, patience, "a wider screen", func() bool {
		frames := strings.Split(screen.String(), demoTop)
		title, _, _ := strings.Cut(frames[len(frames)-2], "\x1b")
		return utf8.RuneCountInString(title) == 100
	})
	resize(5, 40)
	eventually(t, patience, "a small screen", func() bool {
		frames := strings.Split(screen.String(), demoTop)
		frame := frames[len(frames)-2]
		return strings.Count(frame, "\n") == 4 && strings.Contains(frame, "for which there is no room")
	})
	key("\x03")
	ended()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("after Ctrl-C: %v", cmd.ProcessState)
	}
	got := screen.String()
	if !strings.HasSuffix(got, "\n") || strings.Contains(got, "Shown:") || strings.Contains(got, "failed") || regexp.MustCompile(`\x1b\[\d*m|\x1b\[\?`).MatchString(got) {
		t.Errorf("the terminal got %q", got)
	}
}

// TestDemoWithoutScreen: a terminal that is too small, or can't draw, gets lines.
func TestDemoWithoutScreen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		rows, columns uint16
		variable      string
	}{
		{"dumb", 24, 80, "TERM=dumb"},
		{"narrow", 24, 59, "TERM=xterm"},
		{"low", 21, 80, "TERM=xterm"},
		{"with a log", 24, 80, "BRS_EXEC_LOG_LEVEL=info"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, key, screen, ended := demoOnTerminal(t, "5m", tt.rows, tt.columns, tt.variable)
			eventually(t, patience, "a call", func() bool { return strings.Contains(screen.String(), "demo: the job calls with ") })
			key("\x03")
			ended()
			if got := screen.String(); strings.Contains(got, "\x1b") {
				t.Errorf("the terminal got %q", got)
			}
		})
	}
}
