package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// ask runs a subcommand beside runs, and returns what it printed and its exit code.
func (w *world) ask(args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	cmd := exec.Command(brsExec(w.t), args...)
	cmd.Env = w.environ()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// waits starts a run whose command waits for its standard input to end.
func (w *world) waits(flags ...string) *process {
	w.t.Helper()
	p := w.brsExec(append(flags, "--role-arn", roleARN, "--", "sh", "-c", "echo started; read -r _; exit 0")...)
	eventually(w.t, patience, "the start", func() bool { return p.stdout.String() != "" || p.ended() })
	return p
}

// ends ends runs of [world.waits].
func (w *world) ends(runs ...*process) {
	w.t.Helper()
	for _, p := range runs {
		p.stdin.Close()
		if code := p.exit(); code != 0 {
			w.t.Errorf("exit code %d\n%s", code, p.stderr.String())
		}
	}
}

// TestStatusCheck: what a probe is told, as the same run goes from good to bad and back.
func TestStatusCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20*time.Second)
	check := func(want int) func() bool {
		return func() bool { _, _, code := w.ask("status", "--check", "nightly"); return code == want }
	}
	if _, said, code := w.ask("status", "--check", "nightly"); code != 3 || !strings.Contains(said, "nightly") {
		t.Errorf("without a run: exit code %d, %s", code, said)
	}
	p := w.waits("--name", "nightly")
	eventually(t, patience, "fresh", check(0))
	if _, _, code := w.ask("status", "--check", "night"); code != 3 {
		t.Errorf("of another name: exit code %d", code)
	}
	w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Denied, Actions: []string{"AssumeRole"}})
	// Not by its own time: another test's stopped run makes each look take seconds.
	if out, said, code := w.ask("refresh", "nightly"); code != 1 || !strings.Contains(said, "AccessDenied") {
		t.Errorf("refresh: exit code %d\n%s%s", code, out, said)
	}
	eventually(t, patience, "failing", check(1))
	eventually(t, patience, "expired", check(2))
	out, _, _ := w.ask("status", "nightly")
	for _, part := range []string{"nightly (", "expired ", "X]", "AccessDenied", "request id: "} {
		if !strings.Contains(out, part) {
			t.Errorf("the picture lacks %q:\n%s", part, out)
		}
	}
	w.server.SetFaults()
	if out, said, code := w.ask("refresh", "nightly"); code != 0 {
		t.Errorf("refresh: exit code %d\n%s%s", code, out, said)
	}
	if !check(0)() {
		t.Error("not fresh after a refresh")
	}
	w.ends(p)
	eventually(t, patience, "none", check(3))
}

// TestStatusOfStopped: a run that is stopped, and one whose command is, keep status from
// nothing.
func TestStatusOfStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	good, stopped, paused := w.waits("--name", "good"), w.waits("--name", "stopped"), w.waits("--name", "paused")
	var child int
	eventually(t, patience, "the command", func() bool { child = w.status(paused).Child; return child != 0 })
	if err := syscall.Kill(child, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped.signal(syscall.SIGSTOP)
	pid := strconv.Itoa(stopped.cmd.Process.Pid)
	eventually(t, patience, "all three", func() bool {
		out, _, code := w.ask("status")
		return code == 0 && strings.Contains(out, "good (") && strings.Contains(out, "running for") &&
			strings.Contains(out, pid+": does not answer") && regexp.MustCompile(`paused \(.*stopped by a signal`).MatchString(strings.ReplaceAll(out, "\n", " "))
	})
	for name, want := range map[string]int{"good": 0, "paused": 0, pid: 2, "stopped": 3} {
		if _, said, code := w.ask("status", "--check", name); code != want {
			t.Errorf("--check %s: exit code %d, want %d\n%s", name, code, want, said)
		}
	}
	out, _, code := w.ask("status", "--check", "--json")
	if n := strings.Count(out, "\n"); code != 2 || n < 3 {
		t.Errorf("of all: exit code %d, %d lines", code, n)
	}
	if _, said, code := w.ask("refresh", pid); code != 1 || !strings.Contains(said, "does not answer") {
		t.Errorf("refresh of the stopped one: exit code %d, %s", code, said)
	}
	stopped.signal(syscall.SIGCONT)
	if err := syscall.Kill(child, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.ends(good, stopped, paused)
}

// TestRefreshNow: newer credentials are in the command's files when refresh returns, and why
// there are none if it fails.
func TestRefreshNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	p := w.brsExec("--name", "job", "--role-arn", roleARN, "--", "sh", "-c",
		`while read -r _; do sed -n 's/^aws_access_key_id *= *//p' "$AWS_SHARED_CREDENTIALS_FILE" | tail -n 1; done`)
	in := p.stdin.(interface{ Write([]byte) (int, error) })
	key := func() string {
		n := len(p.stdout.lines())
		in.Write([]byte("\n"))
		eventually(t, patience, "the key in the file", func() bool { return len(p.stdout.lines()) > n || p.ended() })
		return p.stdout.lines()[n]
	}
	before := key()
	var out, said string
	var code int
	eventually(t, patience, "a socket", func() bool { _, _, code := w.ask("status", "--check", "job"); return code == 0 })
	out, said, code = w.ask("refresh", "job")
	after := key()
	if code != 0 || after == before || !strings.Contains(out, "…"+after[len(after)-4:]) || !strings.Contains(out, "until ") {
		t.Errorf("exit code %d, key %s after %s\n%s%s", code, after, before, out, said)
	}

	w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Denied, Actions: []string{"AssumeRole"}})
	if out, said, code = w.ask("refresh", "--profile", "brs-exec", strconv.Itoa(p.cmd.Process.Pid)); code != 1 || !strings.Contains(said, "AccessDenied") || !strings.Contains(said, "hint:") {
		t.Errorf("of a role that is denied: exit code %d\n%s%s", code, out, said)
	}
	if now := key(); now != after {
		t.Errorf("after a failure the command has key %s, not %s", now, after)
	}
	w.server.SetFaults()
	if out, said, code = w.ask("refresh"); strings.Contains(said, "there are") { // other runs of root
		out, said, code = w.ask("refresh", "job")
	}
	if code != 0 {
		t.Errorf("once it is allowed: exit code %d\n%s%s", code, out, said)
	}
	if _, said, code = w.ask("refresh", "job", "--profile", "nobody"); code != 1 || !strings.Contains(said, `no profile "nobody"`) {
		t.Errorf("of no profile: exit code %d, %s", code, said)
	}

	// A source that hangs holds up whoever asked, as long as they wait, and nobody else.
	w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.BlackHole, Actions: []string{"AssumeRole"}})
	if out, said, code = w.ask("refresh", "job", "--timeout", "1s"); code != 1 || !strings.Contains(said, "taken more than 1s") {
		t.Errorf("of a source that hangs: exit code %d\n%s%s", code, out, said)
	}
	if _, said, code = w.ask("status", "--check", "job"); code != 0 {
		t.Errorf("status meanwhile: exit code %d\n%s", code, said)
	}
	w.server.SetFaults()

	other := w.waits("--name", "job")
	eventually(t, patience, "both", func() bool { out, _, _ := w.ask("status", "--json", "job"); return strings.Count(out, "\n") == 2 })
	if _, said, code = w.ask("refresh", "job"); code != 125 || !strings.Contains(said, "there are 2 runs: job (") {
		t.Errorf("of an ambiguous name: exit code %d, %s", code, said)
	}
	w.ends(other, p)
}

// TestRefreshOfShared: what other processes have cached is not taken for new.
func TestRefreshOfShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	p := w.waits("--share", "--share-dir", w.path("share"), "--name", "sharer")
	var before string
	eventually(t, patience, "the first credentials", func() bool { before = w.status(p).Key; return before != "" })
	if out, said, code := w.ask("refresh", "sharer"); code != 0 || strings.Contains(out, before) || strings.Contains(out, "the same as before") {
		t.Errorf("exit code %d after %s\n%s%s", code, before, out, said)
	}
	w.ends(p)
}

// TestControlOfOthers: another user gets no answer, whatever the modes have become; root sees
// the runs of all, under the names of those whose they are.
func TestControlOfOthers(t *testing.T) {
	t.Parallel()
	alice, mallory := neighbours(t)
	w := alice.world(time.Hour)
	alices, roots := fmt.Sprint("of-alice-", alice.uid), fmt.Sprint("of-root-", alice.uid) // root sees those of other tests, too
	p := w.waits("--name", alices)
	base := "/dev/shm/brs-exec-" + strconv.Itoa(alice.uid)
	var socket string
	eventually(t, patience, "the socket", func() bool {
		found, _ := filepath.Glob(base + "/brs-exec-*/control")
		if len(found) == 1 {
			socket = found[0]
		}
		return socket != ""
	})
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	lists := func(n *neighbour) bool {
		out, err := n.sh(`"$1" status --json "$2"`, brsExec(t), alices)
		return err == nil && strings.Contains(out, alices)
	}
	eventually(t, patience, "alice's view", func() bool { return lists(alice) })
	if lists(mallory) {
		t.Error("mallory sees alice's run")
	}

	// Somebody has opened all doors: only the kernel's word is left.
	for _, path := range []string{base, filepath.Dir(socket), socket} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	const request = `{"v":1,"do":"status"}` + "\n"
	if got := askAs(t, mallory, socket, request); got != "" {
		t.Errorf("mallory is told %q", got)
	}
	if got := askAs(t, alice, socket, request); !strings.Contains(got, alices) {
		t.Errorf("alice is told %q", got)
	}
	for path, mode := range map[string]os.FileMode{base: 0o700, filepath.Dir(socket): 0o700, socket: 0o600} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}

	// What mallory makes up: a run of alice's, one that waits for ever, and one that leads to
	// a socket of somebody else's.
	victim := filepath.Join(t.TempDir(), "victim")
	l, err := net.Listen("unix", victim)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan bool, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			asked <- true
			conn.Close()
		}
	}()
	plant := `umask 077; in=$1; mkdir -p "$in" && cd "$in" && for n in 1 2 3; do
		mkdir "brs-exec-$$-000000000000000$n"; echo "$$ $(cut -d' ' -f22 /proc/$$/stat)" >"brs-exec-$$-000000000000000$n/lock"; done
		mkfifo "brs-exec-$$-0000000000000001/control"; ln -s "$2" "brs-exec-$$-0000000000000002/control"
		ln -s "$3" "brs-exec-$$-0000000000000003/control"; echo planted; read -r _`
	mallorys := &exec.Cmd{}
	mallorys = mallory.command("sh", "-c", plant, "sh", "/dev/shm/brs-exec-"+strconv.Itoa(mallory.uid), victim, socket)
	var planted output
	mallorys.Stdout, mallorys.Stderr = &planted, &planted
	hold, err := mallorys.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := mallorys.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "the plants", func() bool { return strings.Contains(planted.String(), "planted") })
	if out, err := mallory.sh(`umask 077; mkdir "/dev/shm/brs-exec-$1-00000000deadbeef"`, strconv.Itoa(alice.uid)); err != nil {
		t.Fatal(err, out)
	}
	defer os.RemoveAll("/dev/shm/brs-exec-" + strconv.Itoa(alice.uid) + "-00000000deadbeef")

	root := newWorld(t, time.Hour)
	ours := root.waits("--name", roots)
	var lines []string
	eventually(t, patience, "root's view", func() bool {
		out, _, _ := root.ask("status", "--json")
		lines = strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		return strings.Contains(out, alices) && strings.Contains(out, roots)
	})
	mallorysRuns := 0
	for _, line := range lines {
		var s struct {
			PID         int
			Name, User  string
			State, Sour string
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		switch {
		case s.Name == alices && (s.User != fmt.Sprint("user ", alice.uid) || s.PID != p.cmd.Process.Pid):
			t.Errorf("alice's run is %s", line)
		case s.Name == roots && s.User != "":
			t.Errorf("root's run is %s", line)
		case s.User == fmt.Sprint("user ", mallory.uid):
			if mallorysRuns++; s.State != "silent" {
				t.Errorf("a plant is %s", line)
			}
		}
	}
	if mallorysRuns != 3 || len(asked) != 0 {
		t.Errorf("%d plants are shown as mallory's, want 3; a socket of somebody else's was asked %d times", mallorysRuns, len(asked))
	}
	if out, said, code := root.ask("refresh", alices); code != 0 {
		t.Errorf("root's refresh: exit code %d\n%s%s", code, out, said)
	}
	hold.Close()
	mallorys.Wait()
	root.ends(ours)
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.stderr.String())
	}
}

// askAs sends a line to a socket as a user, and returns the answer.
func askAs(t *testing.T, n *neighbour, socket, line string) string {
	t.Helper()
	out, err := n.sh(`exec python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
try:
    s.sendall(sys.argv[2].encode())
    print(s.makefile().readline())
except ConnectionError:
    print()
' "$@"`, socket, line)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(out)
}

// startOnTerminal starts a command on a terminal of its own, and keeps what that is sent. ended waits
// for the end of both.
func startOnTerminal(t *testing.T, cmd *exec.Cmd, rows, columns uint16) (master *os.File, screen *output, ended func()) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := pty.Setsize(master, &pty.Winsize{Rows: rows, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	screen = &output{}
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			screen.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	return master, screen, func() {
		cmd.Wait()
		master.SetReadDeadline(time.Now().Add(patience)) // what was written last may still be on its way
		<-read
	}
}

// TestStatusWatch: frames replace each other on a terminal, as large as that is, until
// Ctrl-C, and leave it as it was.
func TestStatusWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	p := w.waits("--name", "watched")
	eventually(t, patience, "a socket", func() bool { _, _, code := w.ask("status", "--check", "watched"); return code == 0 })
	cmd := exec.Command(brsExec(t), "status", "--watch", "watched")
	cmd.Env = append(w.environ(), "NO_COLOR=1")
	master, screen, ended := startOnTerminal(t, cmd, 24, 80)
	const home, below = "\x1b[H", "\x1b[J"
	eventually(t, patience, "three frames", func() bool { return strings.Count(screen.String(), home) > 3 })
	if err := pty.Setsize(master, &pty.Winsize{Rows: 3, Cols: 60}); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "a frame of three rows", func() bool { return strings.Contains(screen.String(), "lines more, for which there is no room") })
	fmt.Fprint(master, "\x03")
	ended()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("after Ctrl-C: %v", cmd.ProcessState)
	}
	got := screen.String()
	if !strings.HasPrefix(got, home+below) || !strings.HasSuffix(got, "\n") || strings.Contains(got, "\x1b[?") || strings.Contains(got, "\x1b[1m") {
		t.Errorf("the terminal got %q", got)
	}
	frames := strings.Split(got, home)
	frame := frames[2]
	for _, scrub := range [][2]string{
		{`\d\d:\d\d:\d\d`, "TIME"}, {`\(\d+\)`, "(PID)"}, {`child \d+`, "child PID"}, {`for \d+s`, "for SPAN"},
		{`[A-Z0-9]{4}…[A-Z0-9]{4}`, "KEY"}, {`…[A-Z0-9]{2}\b`, "KEY"}, {`\[[=|^-]+\]`, "[BAR]"}, {`(\d+h)?\d+m(\d+s)? left, next (\d+h)?\d+m(\d+s)?`, "SPAN left, next SPAN"},
		{`brs-exec-sh-\d+`, "brs-exec-sh-PID"},
	} {
		frame = regexp.MustCompile(scrub[0]).ReplaceAllString(frame, scrub[1])
	}
	golden(t, "status-watch", strings.ReplaceAll(strings.ReplaceAll(frame, "\x1b", "ESC"), "\r", ""))
	w.ends(p)
}

// TestStatusOfMany: a run of a thousand roles is told in 80 columns and few lines.
func TestStatusOfMany(t *testing.T) {
	t.Parallel()
	const accounts = 1000
	w := newWorld(t, time.Hour)
	p := w.brsExec("--config", w.fleet(accounts), "--name", "fleet", "--", "sh", "-c", "echo started; read -r _; exit 0")
	eventually(t, patience, "the start", func() bool { return p.stdout.String() != "" || p.ended() })
	eventually(t, patience, "a socket", func() bool { _, _, code := w.ask("status", "--check", "fleet"); return code == 0 })
	w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Denied, Actions: []string{"AssumeRole"}})
	if _, said, code := w.ask("refresh", "fleet", "--profile", "app-"+account(7), "--profile", "app-"+account(8)); code != 1 || !strings.Contains(said, "AccessDenied") {
		t.Errorf("exit code %d, %s", code, said)
	}
	out, _, code := w.ask("status", "--check", "fleet")
	lines := strings.Split(out, "\n")
	if _, _, ready := w.ask("status", "--ready", "fleet"); ready != 0 {
		t.Errorf("--ready: exit code %d of credentials that are valid", ready)
	}
	if code != 1 || len(lines) > 40 || !strings.Contains(out, "1000 profiles: 998 fresh, 2 failing") || !strings.Contains(out, "app-"+account(7)) {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if out, _, _ = w.ask("status", "--wide", "fleet"); strings.Count(out, "app-") < accounts {
		t.Errorf("--wide has %d profiles", strings.Count(out, "app-"))
	}
	w.server.SetFaults()
	if out, said, code := w.ask("refresh", "fleet"); code != 0 || !strings.Contains(out, "1000 of 1000 profiles are refreshed") {
		t.Errorf("exit code %d\n%s%s", code, out, said)
	}
	w.ends(p)
}
