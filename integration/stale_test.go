//go:build unix

package integration

import (
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// staleLine is what brs-exec says of a command that does not come back.
var staleLine = regexp.MustCompile(`time=(\S+) level=WARN msg="no client has read the credentials since (\S+); those it has expire (\S+)" read-by=(\w+) hint="(?:if the command still uses AWS,|a command that has no need of AWS)`)

// filesSeen skips where the system does not tell who reads a file.
func filesSeen(t *testing.T) {
	t.Helper()
	slow(t)
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells who reads a file")
	}
	t.Parallel()
}

// awaitStale waits for the line, and checks that it came before the end that it
// tells, and which is that of the credentials that were issued first.
func (w *world) awaitStale(p *process, by string) {
	w.t.Helper()
	var found []string
	eventually(w.t, patience, "word of a stale reader", func() bool {
		found = staleLine.FindStringSubmatch(p.stderr.String())
		return found != nil || p.ended()
	})
	if found == nil {
		w.t.Fatalf("ended\n%s", p.stderr.String())
	}
	if found[4] != by {
		w.t.Errorf("read by %s, want %s", found[4], by)
	}
	at, ends := w.alarmTimes(found)
	if left := ends.Sub(at); left < -time.Second || left > staleLife/2 { // the end is told in whole seconds
		w.t.Errorf("said %v before the end", left)
	}
	if n := len(staleLine.FindAllString(p.stderr.String(), -1)); n != 1 {
		w.t.Errorf("said %d times", n)
	}
}

// alarmTimes are when it was said, and the end that was told.
func (w *world) alarmTimes(found []string) (at, ends time.Time) {
	w.t.Helper()
	at, err := time.Parse(time.RFC3339Nano, found[1])
	if err != nil {
		w.t.Fatal(err)
	}
	ends, err = time.ParseInLocation(time.DateOnly+" "+time.TimeOnly, at.Format(time.DateOnly)+" "+found[3], at.Location())
	if err != nil {
		w.t.Fatal(err)
	}
	return at, ends
}

// staleLife is the lifetime of credentials in these tests. A tenth of it is the time that
// clients of the process have for asking.
const staleLife = 30 * time.Second

func TestStaleFileReader(t *testing.T) {
	filesSeen(t)
	path := goClient(t)
	w := newWorld(t, staleLife)
	// This SDK reads the file once, and goes on with what it read.
	p := w.brsExec("--role-arn", roleARN, "--deliver", "file", "--", path)
	w.awaitStale(p, "file")
	if out := p.stdout.String(); strings.Contains(out, "refused") || !strings.Contains(out, "ok ") {
		t.Errorf("the command printed %q before it was told of, want calls that are accepted", out)
	}
	eventually(t, patience, "the call that was foretold to be refused", func() bool {
		return strings.Contains(p.stdout.String(), "refused ExpiredToken")
	})
	w.finishPlain(p, 0)
}

// asks is a command that gets credentials from the credential process once. It has
// nothing to do with AWS otherwise, which is what a program that copies the keys
// looks like.
func (w *world) asks(then string) []string {
	return []string{"bash", "-c", `"$0" credentials --run-dir "${AWS_CONFIG_FILE%/*}" >/dev/null; ` + then, brsExec(w.t)}
}

func TestStaleCopy(t *testing.T) {
	filesSeen(t)
	w := newWorld(t, staleLife)
	p := w.brsExec(append([]string{"--role-arn", roleARN, "--"}, w.asks("read -r _; exit 0")...)...)
	w.awaitStale(p, "process")
	eventually(t, patience, "a status that counts it", func() bool { return w.status(p).Stale == 1 })
	w.awaitRefreshes(2)
	if n := len(staleLine.FindAllString(p.stderr.String(), -1)); n != 1 {
		t.Errorf("said %d times, want once for the credentials that were read", n)
	}
	w.finishPlain(p, 0)
}

func TestOnStale(t *testing.T) {
	filesSeen(t)
	const life = 20 * time.Second
	t.Run("signal", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, life)
		p := w.brsExec(append([]string{"--role-arn", roleARN, "--quiet", "--on-stale", "signal:USR1", "--"}, w.asks(trapping)...)...)
		eventually(t, patience, "a signal", func() bool { return said(p, "got USR1") == 1 })
		w.finishPlain(p, 0)
	})
	t.Run("restart", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, life)
		p := w.brsExec(append([]string{"--role-arn", roleARN, "--quiet", "--on-stale", "restart", "--"}, w.asks(trapping)...)...)
		eventually(t, patience, "two restarts", func() bool { return said(p, "ready") >= 3 })
		w.finishPlain(p, 0)
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, life)
		p := w.brsExec(append([]string{"--role-arn", roleARN, "--on-stale", "none", "--"}, w.asks("read -r _; exit 0")...)...)
		w.awaitRefreshes(4)
		if said := p.stderr.String(); strings.Contains(said, "no client has read") {
			t.Errorf("said %q", said)
		}
		w.finishPlain(p, 0)
	})
}

// checkAlarms fails the test if an alarm was false: the command had used a newer
// set before it, or was still to be told of the end. One that a busy machine has
// not let come back by then was late indeed.
func (w *world) checkAlarms(p *process) {
	w.t.Helper()
	for _, found := range staleLine.FindAllStringSubmatch(p.stderr.String(), -1) {
		at, ends := w.alarmTimes(found)
		told := staleLife / 10
		if found[4] == "file" {
			told = staleLife / 4
		}
		early := at.Before(ends.Add(-told - time.Second)) // the end is told in whole seconds
		for _, call := range w.server.Calls() {
			if end, ok := w.server.Expiry(call.KeyID); ok && call.Service != "sts" && call.Time.Before(at) && end.After(ends.Add(time.Second)) {
				early = true
			}
		}
		if early {
			w.t.Errorf("a false alarm:\n%s", p.stderr.String())
			return
		}
		w.t.Logf("late, as was said: %s", found[0])
	}
}

// TestNotStale are commands that come back, each in its own way and at its own
// time, and one that never uses AWS.
func TestNotStale(t *testing.T) {
	slow(t)
	t.Parallel()
	type command struct {
		name    string
		deliver string
		argv    func(t *testing.T) []string
		calls   bool
	}
	commands := []command{{name: "no AWS", deliver: "auto", argv: func(*testing.T) []string { return []string{"sh", "-c", "read -r _; exit 0"} }}}
	for _, c := range clients() {
		for _, channel := range c.channels {
			argv := c.command
			if c.name == "awscli" { // each call is a process, and one in five seconds shows as much
				argv = func(t *testing.T) []string { return append(c.command(t), "0", "5") }
			}
			commands = append(commands, command{c.name, channel, argv, true})
		}
	}
	commands = append(commands, command{"file again", "file", func(t *testing.T) []string {
		return []string{"bash", "-c", `while :; do cat "$AWS_SHARED_CREDENTIALS_FILE" >/dev/null; echo ok; read -r -t 0.5 _; [ $? = 1 ] && exit 0; done`}
	}, true})
	for _, c := range commands {
		t.Run(c.name+" "+c.deliver, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, staleLife)
			p := w.brsExec(append([]string{"--role-arn", roleARN, "--deliver", c.deliver, "--"}, c.argv(t)...)...)
			// The third is to be alarmed of, if at all, before the fifth comes.
			eventually(t, patience, "five sets of credentials, and as many calls", func() bool {
				return w.assumed() >= 5 && (!c.calls || len(p.stdout.lines()) >= 5) || p.ended()
			})
			w.checkAlarms(p)
			w.finishPlain(p, 0)
		})
	}
}
