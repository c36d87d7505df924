//go:build unix

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// child is the fastest of the clients, for tests that are not about clients.
func child(t *testing.T) []string {
	t.Helper()
	return []string{goClient(t)}
}

// startChild runs the client under brs-exec and waits until it has made calls.
func (w *world) startChild(flags ...string) *process {
	w.t.Helper()
	p := w.brsExec(append(append([]string{"--role-arn", roleARN}, flags...), append([]string{"--"}, child(w.t)...)...)...)
	w.awaitOK(p, 2)
	return p
}

// awaitOK waits for n more calls of the client that go well.
func (w *world) awaitOK(p *process, n int) {
	w.t.Helper()
	before, _ := counts(p)
	if !poll(patience, func() bool {
		ok, _ := counts(p)
		return ok >= before+n
	}) {
		w.t.Fatalf("the client made no %d more good calls\nstdout:\n%s\nstderr:\n%s", n, p.stdout.String(), p.stderr.String())
	}
}

// finish ends the client and wants every call to have gone well.
func (w *world) finish(p *process) {
	w.t.Helper()
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		w.t.Errorf("exit code %d, want 0", code)
	}
	if ok, refused := counts(p); refused > 0 {
		w.t.Errorf("%d calls went well and %d did not:\n%s", ok, refused, p.stdout.String())
	}
}

// runDirs lists the run directories.
func (w *world) runDirs() []string {
	w.t.Helper()
	entries, err := os.ReadDir(w.run)
	if err != nil {
		w.t.Fatal(err)
	}
	var dirs []string
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, e.Name())
		}
	}
	return dirs
}

// inEnvironment tells whether a process was given the path in its environment.
func inEnvironment(path string) bool {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range environs {
		if data, err := os.ReadFile(name); err == nil && strings.Contains(string(data), path) {
			return true
		}
	}
	return false
}

// TestKilled: with brs-exec killed outright, the command goes on with the credentials
// that it has, and the next run clears up after the dead.
func TestKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	w.leaves = true
	p := w.startChild()
	left := w.runDirs()
	if len(left) != 1 {
		t.Fatalf("run directories %q, want one", left)
	}
	p.signal(syscall.SIGKILL)
	w.awaitOK(p, 3)
	if _, refused := counts(p); refused > 0 {
		t.Errorf("calls were refused after brs-exec was killed:\n%s", p.stdout.String())
	}
	p.stdin.Close() // the client ends
	p.exit()
	eventually(t, patience, "the client's end", func() bool { return !inEnvironment(filepath.Join(w.run, left[0])) })

	q := w.startChild()
	eventually(t, patience, "a new run directory alone", func() bool {
		now := w.runDirs()
		return len(now) == 1 && now[0] != left[0]
	})
	w.finish(q)
	if rest := w.runDirs(); len(rest) > 0 {
		t.Errorf("run directories %q are left", rest)
	}
}

// TestOutage: the command has good calls until its set ends, and again soon
// after the server is back.
func TestOutage(t *testing.T) {
	slow(t)
	t.Parallel()
	kinds := map[string]fakeaws.Kind{
		"throttled":   fakeaws.Throttle,
		"unavailable": fakeaws.Unavailable,
		"black hole":  fakeaws.BlackHole,
		"garbage":     fakeaws.Garbage,
		"reset":       fakeaws.Reset,
		"denied":      fakeaws.Denied,
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const life = 10 * time.Second
			w := newWorld(t, life)
			p := w.startChild("--log-level", "debug")
			w.server.SetFaults(fakeaws.Fault{Kind: kind, Actions: []string{"AssumeRole"}})
			eventually(t, life+patience, "a refused call once the credentials have expired", func() bool {
				_, refused := counts(p)
				return refused > 0
			})
			if p.ended() {
				t.Fatalf("ended with %d in the outage\n%s", p.exit(), p.stderr.String())
			}
			w.checkUsedToTheEnd(life, time.Now())
			w.server.SetFaults()
			recovers(t, p, "after the outage")
			p.stdin.Close()
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// checkUsedToTheEnd: the last credentials were used until shortly before their expiry. What
// the command is told of the end is a tenth of the life early, by design. failed is when a
// failure was seen first: later on a busy machine, which also makes no call for seconds.
func (w *world) checkUsedToTheEnd(life time.Duration, failed time.Time) {
	w.t.Helper()
	var last fakeaws.Call
	for _, c := range w.server.Calls() {
		if c.Action == "GetCallerIdentity" && c.Accepted {
			last = c
		}
	}
	end, ok := w.server.Expiry(last.KeyID)
	if !ok {
		w.t.Fatalf("no such set: %v", last)
	}
	if early := end.Sub(failed); early > life/10+2500*time.Millisecond {
		w.t.Errorf("a call failed %v before the credentials expired", early)
	}
	if unused := end.Sub(last.Time); unused > life/2 {
		w.t.Errorf("the credentials were not used in their last %v, although there were no others", unused)
	}
}

// TestSlowServer: an answer that trickles in is an answer.
func TestSlowServer(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 30*time.Second) // an answer takes several
	w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Slow, Actions: []string{"AssumeRole"}})
	p := w.startChild()
	w.awaitRefreshes(2)
	w.awaitOK(p, 2)
	w.finish(p)
}

// TestStartTimeout: for the first credentials it does not wait for ever.
func TestStartTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, life)
	w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.BlackHole})
	began := time.Now()
	p := w.brsExec("--role-arn", roleARN, "--start-timeout", "3s", "--", "touch", w.path("started"))
	if code := p.exit(); code != 125 {
		t.Errorf("exit code %d, want 125", code)
	}
	if took, text := time.Since(began), p.stderr.String(); took < 2900*time.Millisecond || !strings.Contains(text, "within 3s") {
		t.Errorf("it took %v, want about 3s; it said %s", took, text)
	}
	if _, err := os.Stat(w.path("started")); err == nil {
		t.Error("the command was started")
	}
}

// TestEndedAtStart: whoever loses patience before the first credentials are
// there gets out at once, and nothing is left.
func TestEndedAtStart(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, life)
			w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.BlackHole})
			p := w.brsExec("--role-arn", roleARN, "--", "touch", w.path("started"))
			eventually(t, patience, "a call", func() bool { return len(w.server.Calls()) > 0 })
			p.signal(s)
			if code := p.exit(); code != 128+int(s) {
				t.Errorf("exit code %d, want %d", code, 128+int(s))
			}
			w.checkNothingHappened(nil)
		})
	}
}

// TestLateServer: what fails at first may come up within --start-timeout.
func TestLateServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Unavailable, Times: 4})
	w.finish(w.startChild())
}

// TestClockOffset: the server's clock is not this machine's. Without regard to
// that, a server that is ahead makes brs-exec refresh too late, and one that is
// behind hands out credentials that seem to have expired.
func TestClockOffset(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, offset := range []time.Duration{10 * time.Minute, -10 * time.Minute, 2 * time.Hour, -2 * time.Hour} {
		t.Run(offset.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, life)
			w.server.SetClockOffset(offset)
			begin := time.Now()
			p := w.startChild("--log-level", "info")
			// The user's keys and three sets of credentials: how soon the client comes for
			// each is its own affair.
			eventually(t, patience, "the client uses a third set of credentials", func() bool {
				used := map[string]bool{}
				for _, c := range w.server.Calls() {
					used[c.KeyID] = true
				}
				return len(used) >= 4
			})
			w.awaitOK(p, 2)
			p.stdin.Close()
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			for _, c := range w.server.Calls() {
				if c.Code == "ExpiredToken" {
					t.Errorf("refused: %v", c)
				}
			}
			if _, refused := counts(p); refused > 0 {
				t.Errorf("the client had refused calls:\n%s", p.stdout.String())
			}
			if !strings.Contains(strings.ToLower(p.stderr.String()), "clock") {
				t.Errorf("nothing was said of a clock that is %v off:\n%s", offset, p.stderr.String())
			}
			// A hot loop would show as many more credentials than the time allows.
			if n, took := w.assumed(), time.Since(begin); n > 3+int(took/(life/4)) {
				t.Errorf("%d sets of credentials of %v in %v", n, life, took)
			}
		})
	}
}

// TestTwoAtOnce: two brs-exec in the same places don't disturb each other.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20*time.Second)
	w.leaves = true // each leaves the other's directory alone
	p, q := w.startChild(), w.startChild()
	if dirs := w.runDirs(); len(dirs) != 2 {
		t.Errorf("run directories %q, want two", dirs)
	}
	w.finish(p)
	if dirs := w.runDirs(); len(dirs) != 1 {
		t.Errorf("run directories %q after the end of one, want that of the other", dirs)
	}
	w.awaitRefreshes(2)
	w.awaitOK(q, 2)
	w.finish(q)
	if left := w.tree(w.run); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// inMounts returns a command that runs script in a mount namespace of its own,
// with the program and its arguments as "$@", or skips the test.
func inMounts(t *testing.T, script string) []string {
	t.Helper()
	for _, flags := range []string{"-m", "-rm"} {
		if exec.Command("unshare", flags, "mount", "-t", "tmpfs", "none", "/mnt").Run() == nil {
			return []string{"unshare", flags, "sh", "-c", script, "sh"}
		}
	}
	t.Skip("needs root, or user namespaces: mounting is not permitted here")
	return nil
}

// readOnly hides every place where run directories go behind a file system that
// can't be written, but /mnt, which is for the test. The working directory stays
// what it is, although there is no path to it then.
const readOnly = `for d in /run /dev/shm /tmp /var/tmp; do mount -t tmpfs -o ro none $d; done
	export XDG_RUNTIME_DIR=/mnt TMPDIR=/mnt
	`

// hidden starts brs-exec in mounts under which its path is not to be seen.
func (w *world) hidden(command []string, args ...string) *process {
	w.t.Helper()
	binary, err := os.Open(brsExec(w.t))
	if err != nil {
		w.t.Fatal(err)
	}
	defer binary.Close()
	return w.startWith([]*os.File{binary}, command[0], append(append(command[1:], "/proc/self/fd/3"), args...)...)
}

// TestNowhereToWrite: no candidate for the run directory can be written.
func TestNowhereToWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	p := w.hidden(inMounts(t, readOnly+`mount -t tmpfs -o ro none /mnt; exec "$@"`), "--role-arn", roleARN, "--", "touch", "started")
	if code := p.exit(); code != 125 {
		t.Errorf("exit code %d, want 125", code)
	}
	w.checkComplaint(p)
	w.checkNothingHappened(nil)
	golden(t, filepath.Join("badinput", "nowhere-to-write"), w.plain(p.stderr.String()))
}

// TestElsewhere: XDG_RUNTIME_DIR that cannot be written is not the only place.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	w.env["XDG_RUNTIME_DIR"] = "/nonexistent"
	p := w.brsExec("--role-arn", roleARN, "--", "sh", "-c", `dirname "$AWS_CONFIG_FILE"`)
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d, want 0\n%s", code, p.stderr.String())
	}
	dir := strings.TrimSpace(p.stdout.String())
	if !filepath.IsAbs(dir) {
		t.Errorf("run directory %q, want an absolute path", dir)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s is left behind", dir)
	}
}

// TestForeignUser: a user who is in no list, has no home and no runtime
// directory, as in many containers.
func TestForeignUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	w := newWorld(t, time.Hour)
	w.unset("HOME", "XDG_RUNTIME_DIR", "TMPDIR", "GOCOVERDIR", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
	// The test's own directory is root's alone.
	cmd := exec.Command(brsExec(t), "--role-arn", roleARN, "--role-session-name", "by-{user}-on-{host}", "--",
		"sh", "-c", `dirname "$AWS_CONFIG_FILE"; cat "$AWS_SHARED_CREDENTIALS_FILE" >/dev/null`)
	cmd.Env, cmd.Dir = w.environ(), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if _, err := os.Stat(strings.TrimSpace(string(out))); err == nil {
		t.Errorf("%s is left behind", out)
	}
}

// TestNoTornReads: with new credentials every second, a reader that does nothing but
// read never has parts of two sets of credentials, a cut file or none.
func TestNoTornReads(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 2*time.Second)
	p := w.brsExec("--role-arn", roleARN, "--", "sh", "-c", `echo "$AWS_SHARED_CREDENTIALS_FILE"; read -r _; exit 0`)
	eventually(t, patience, "the command's line", func() bool { return len(p.stdout.lines()) == 1 })
	path := p.stdout.lines()[0]
	reads, sets := 0, map[string]bool{}
	for begin := time.Now(); (len(sets) < 4 || reads < 1000) && time.Since(begin) < patience; reads++ {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("read %d: %v", reads, err)
		}
		m := staticKeys.FindSubmatch(b)
		if m == nil || !w.server.Issued(string(m[1]), string(m[2]), string(m[3])) {
			t.Fatalf("read %d found no whole set in %d bytes", reads, len(b))
		}
		sets[string(m[1])] = true
	}
	if len(sets) < 4 || reads < 1000 {
		t.Errorf("%d reads saw %d sets of credentials, want thousands and at least 4", reads, len(sets))
	}
	w.finishPlain(p, 0)
}

var staticKeys = regexp.MustCompile(`\[brs-static\]\n(?:[#;].*\n)*aws_access_key_id *= *(\S+)\naws_secret_access_key *= *(\S+)\naws_session_token *= *(\S+)\n`)

// TestManyStarts: starts and ends that fall together, each of which sweeps what
// the dead left, take nothing from the living.
func TestManyStarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.leaves = true // of one another, while they run
	running := make([]*process, 16)
	for i := range running {
		running[i] = w.brsExec("--role-arn", roleARN, "--", "sh", "-c", `cat "$AWS_CONFIG_FILE" "$AWS_SHARED_CREDENTIALS_FILE" >/dev/null`)
	}
	for _, p := range running {
		if code := p.exit(); code != 0 {
			t.Errorf("exit code %d, want 0\n%s", code, p.stderr.String())
		}
	}
	if left := w.tree(w.run); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestDiskFullAtFirst: the first credentials can't be written, since there is no room
// for anything, or only for the file that comes before it.
func TestDiskFullAtFirst(t *testing.T) {
	t.Parallel()
	for name, room := range map[string]string{"no room": "0", "room for one page": "4096"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			p := w.hidden(inMounts(t, readOnly+`mount -t tmpfs -o size=64k none /mnt
				head -c $((65536 - `+room+`)) /dev/zero >/mnt/full
				"$@"; code=$?
				rmdir /mnt/brs-exec-* # which stays, and must be empty
				ls -A /mnt >left; exit $code`), "--role-arn", roleARN, "--start-timeout", "3s", "--", "touch", "started")
			if code := p.exit(); code != 125 {
				t.Errorf("exit code %d, want 125", code)
			}
			w.checkComplaint(p)
			w.checkNothingHappened(nil)
			if left, err := os.ReadFile(w.path("left")); err != nil || string(left) != "full\n" {
				t.Errorf("left in the run directory's parent: %q (%v), want only what filled it", left, err)
			}
			if !strings.Contains(p.stderr.String(), "no space left on device") {
				t.Errorf("the cause is not told:\n%s", p.stderr.String())
			}
		})
	}
}

// TestDiskFullMovesOn: where there is no room, the next place is taken.
func TestDiskFullMovesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	command := inMounts(t, `mount -t tmpfs -o size=4k none "$XDG_RUNTIME_DIR"; head -c 4096 /dev/zero >"$XDG_RUNTIME_DIR/full"; exec "$@"`)
	p := w.start(command[0], append(command[1:], brsExec(t), "--role-arn", roleARN, "--", "sh", "-c", `cat "$AWS_CONFIG_FILE" >/dev/null`)...)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// TestDiskFullLater: a later set can't be written. The command keeps the one it
// has, and gets the next as soon as there is room.
func TestDiskFullLater(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, life)
	command := inMounts(t, `mount -t tmpfs -o size=128k none "$XDG_RUNTIME_DIR"; exec "$@"`)
	args := append(command[1:], brsExec(t), "--role-arn", roleARN, "--log-level", "info", "--")
	p := w.start(command[0], append(args, child(t)...)...)
	w.awaitOK(p, 2)
	// The mount is seen through the process that has it.
	inside := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "root", w.run)
	fill := filepath.Join(inside, "full")
	fillUp(t, fill)
	eventually(t, patience, "a complaint about the full disk", func() bool {
		return strings.Contains(p.stderr.String(), "no space left")
	})
	stuck := w.lastKey()
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "the command uses newer credentials", func() bool { return w.lastKey() != stuck })
	w.finish(p)
	for _, c := range w.server.Calls() {
		if !c.Accepted {
			t.Errorf("refused: %v", c)
		}
	}
}

// lastKey is the key id of the client's last accepted call.
func (w *world) lastKey() string {
	id := ""
	for _, c := range w.server.Calls() {
		if c.Action == "GetCallerIdentity" && c.Accepted {
			id = c.KeyID
		}
	}
	return id
}

// fillUp writes a file until there is no room for more.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 1 << 20 {
		if _, err := f.Write(make([]byte, 512)); err != nil {
			return
		}
	}
	t.Fatal("the disk never filled up")
}
