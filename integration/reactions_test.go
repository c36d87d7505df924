//go:build unix

package integration

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// trapping is a command that says which signals it gets, until its standard
// input ends.
const trapping = `for s in USR1 USR2; do trap "echo got $s" $s; done
	trap "echo got TERM; exit 7" TERM
	echo ready
	while :; do read -r -t 0.1 _; [ $? = 1 ] && exit 0; done`

func said(p *process, line string) int {
	n := 0
	for _, l := range p.stdout.lines() {
		if l == line {
			n++
		}
	}
	return n
}

func TestOnRefreshSignal(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 6*time.Second)
	p := w.brsExec("--role-arn", roleARN, "--on-refresh", "signal:USR1", "--", "bash", "-c", trapping)
	eventually(t, patience, "two signals", func() bool { return said(p, "got USR1") >= 2 })
	// The first credentials came before the command, so they are no refresh.
	if got, sets := said(p, "got USR1"), w.assumed(); got > sets-1 {
		t.Errorf("%d signals for %d sets of credentials, want one less", got, sets)
	}
	w.finishPlain(p, 0)
}

// TestOnRefreshSignalUnhandled: a command without a handler would die of the
// signal; so it gets it only if that was insisted on.
func TestOnRefreshSignalUnhandled(t *testing.T) {
	slow(t)
	t.Parallel()
	const deaf = `echo ready; read -r _; exit 0`
	t.Run("polite", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 5*time.Second)
		p := w.brsExec("--role-arn", roleARN, "--on-refresh", "signal:USR1", "--", "sh", "-c", deaf)
		w.awaitRefreshes(4)
		w.finishPlain(p, 0)
	})
	t.Run("insisting", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 5*time.Second)
		p := w.brsExec("--role-arn", roleARN, "--on-refresh", "signal:USR1!", "--", "sh", "-c", deaf)
		if code := p.exit(); code != 128+int(syscall.SIGUSR1) {
			t.Errorf("exit code %d, want that of death by USR1", code)
		}
	})
}

func TestOnRefreshExec(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 6*time.Second)
	hook := w.script("hook", `[ -t 0 ] || echo "$#:$*" >>ran; echo noise; cat`)
	p := w.brsExec("--role-arn", roleARN, "--log-level", "info", "--on-refresh", "exec:"+hook+" one two", "--", "bash", "-c", trapping)
	eventually(t, patience, "the hook ran twice", func() bool {
		return strings.Count(w.read("ran"), "2:one two\n") >= 2
	})
	if out := p.stdout.String(); strings.Contains(out, "noise") {
		t.Errorf("the hook's output is on the command's standard output: %q", out)
	}
	w.finishPlain(p, 0)
}

// TestHookThatHangs keeps neither refreshes nor the end waiting.
func TestHookThatHangs(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	hook := w.script("hook", `echo ran >>ran; exec tail -f /dev/null`)
	p := w.brsExec("--role-arn", roleARN, "--on-refresh", "exec:"+hook, "--", "bash", "-c", trapping)
	eventually(t, patience, "the hook runs", func() bool { return w.read("ran") != "" })
	w.awaitRefreshes(3)
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestOnExpiry(t *testing.T) {
	slow(t)
	t.Parallel()
	tests := []struct {
		reaction string
		code     int
		line     string
	}{
		{"stop", 124, "got TERM"},
		{"signal:USR2", 0, "got USR2"},
		{"keep", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.reaction, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 6*time.Second)
			p := w.brsExec("--role-arn", roleARN, "--on-expiry", tt.reaction, "--", "bash", "-c", trapping)
			eventually(t, patience, "the command is ready", func() bool { return said(p, "ready") == 1 })
			w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Denied})
			eventually(t, patience, "word of the expiry", func() bool {
				return strings.Contains(p.stderr.String(), "expired") || p.ended()
			})
			if tt.line != "" {
				eventually(t, patience, tt.line, func() bool { return said(p, tt.line) == 1 })
			}
			if tt.code == 0 {
				p.stdin.Close()
			}
			if code := p.exit(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if tt.line == "" && len(p.stdout.lines()) != 1 {
				t.Errorf("the command was disturbed: %q", p.stdout.String())
			}
		})
	}
}

// TestOnExpiryInAPause: between two runs of a command there is none to stop, and the
// exit code is the same.
func TestOnExpiryInAPause(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 6*time.Second)
	p := w.brsExec("--role-arn", roleARN, "--restart", "always", "--on-expiry", "stop", "--", "sh", "-c", "echo ready; exit 1")
	eventually(t, patience, "the first run", func() bool { return said(p, "ready") > 0 })
	w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Denied})
	if code := p.exit(); code != 124 {
		t.Errorf("exit code %d, want 124", code)
	}
}

// finishPlain ends a command that makes no calls.
func (w *world) finishPlain(p *process, want int) {
	w.t.Helper()
	p.stdin.Close()
	if code := p.exit(); code != want {
		w.t.Errorf("exit code %d, want %d\n%s", code, want, p.stderr.String())
	}
}
