package integration

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// takesName has mallory make a run directory, and whatever above it is missing,
// with a config file of her own.
const takesName = `umask 0; mkdir -p "$1" && echo pwned >"$1/config"`

// leftover is a command that leaves a process behind. When its user gives the word
// that reads the configuration that it was told of.
func leftover(alice *neighbour, then string) (script, word, found string) {
	word, found = alice.path("word"), alice.path("found")
	if err := syscall.Mkfifo(word, 0o666); err != nil {
		alice.t.Fatal(err)
	}
	if err := os.Chmod(word, 0o666); err != nil {
		alice.t.Fatal(err)
	}
	return `setsid sh -c 'read -r _ <"$1"; cat "$AWS_CONFIG_FILE" >"$2" 2>&1; mv "$2" "$2.done"' sh ` + word + " " + found +
		` </dev/null >/dev/null 2>&1 & echo "$AWS_CONFIG_FILE"; ` + then, word, found + ".done"
}

// reads gives the word, and returns what the one that was left behind found.
func reads(t *testing.T, word, found string) string {
	t.Helper()
	if err := os.WriteFile(word, []byte("now\n"), 0); err != nil { // waits for the reader
		t.Fatal(err)
	}
	eventually(t, patience, "what was left behind", func() bool { _, err := os.Stat(found); return err == nil })
	b, err := os.ReadFile(found)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestFreedName: no one can make a directory of the name that a process which
// has outlived brs-exec was told of.
func TestFreedName(t *testing.T) {
	t.Parallel()
	alice, mallory := neighbours(t)
	w := alice.world(time.Hour)
	script, word, found := leftover(alice, "")
	p := w.brsExec("--role-arn", roleARN, "--", "sh", "-c", script)
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	dir := filepath.Dir(strings.TrimSpace(p.stdout.String()))
	if out, err := mallory.sh(takesName, dir); err == nil {
		t.Errorf("mallory has made %s\n%s", dir, out)
	}
	if got := reads(t, word, found); strings.Contains(got, "pwned") {
		t.Errorf("what alice left behind reads %q", got)
	}
	if left := w.tree(filepath.Dir(dir)); len(left) > 1 {
		t.Errorf("left: %q, want no more than the directory itself", left)
	}
}

// TestFreedNameOfKilled: as well after brs-exec was killed, the credentials have expired, and
// another run has tidied up.
func TestFreedNameOfKilled(t *testing.T) {
	slow(t)
	t.Parallel()
	alice, mallory := neighbours(t)
	w := alice.world(3 * time.Second)
	w.leaves = true
	script, word, found := leftover(alice, "read -r _; exit 0")
	p := w.brsExec("--role-arn", roleARN, "--", "sh", "-c", script)
	eventually(t, patience, "the command's line", func() bool { return len(p.stdout.lines()) == 1 })
	dir := filepath.Dir(p.stdout.lines()[0])
	p.signal(syscall.SIGKILL)
	<-p.done
	over := alice.command(brsExec(t), "credentials", "--run-dir", dir)
	eventually(t, patience, "the expiry of the last credentials", func() bool {
		cmd := alice.command(over.Path, over.Args[1:]...)
		return cmd.Run() != nil
	})
	// tidied is a run that goes on until there is no such file.
	tidied := func(path string) {
		t.Helper()
		q := w.brsExec("--role-arn", roleARN, "--", "cat")
		eventually(t, patience, "the next run has tidied up", func() bool {
			_, err := os.Lstat(path)
			return err != nil
		})
		w.finishPlain(q, 0)
	}
	tidied(filepath.Join(dir, "credentials"))
	if out, err := mallory.sh(takesName, dir); err == nil {
		t.Errorf("mallory has made %s\n%s", dir, out)
	}
	if got := reads(t, word, found); strings.Contains(got, "pwned") {
		t.Errorf("what alice left behind reads %q", got)
	}
	eventually(t, patience, "the end of the process that was left", func() bool { return !inEnvironment(dir) })
	tidied(dir)
}

// endpoint is what the command was told of it.
const tellEndpoint = `echo "$AWS_CONFIG_FILE"; echo "$AWS_CONTAINER_CREDENTIALS_FULL_URI"; echo "$AWS_CONTAINER_AUTHORIZATION_TOKEN"; read -r _; exit 0`

func (w *world) asksEndpoint(url, token string) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		w.t.Errorf("the endpoint answers %s", resp.Status)
	}
}

// TestVanished: what systemd does to a user's files in /dev/shm when their last
// session ends is told of, once, and mended while the command goes on.
func TestVanished(t *testing.T) {
	t.Parallel()
	alice, _ := neighbours(t)
	w := alice.world(time.Hour)
	p := w.brsExec("--role-arn", roleARN, "--", "sh", "-c", tellEndpoint)
	eventually(t, patience, "the command's lines", func() bool { return len(p.stdout.lines()) == 3 })
	dir := filepath.Dir(p.stdout.lines()[0])
	before := strings.Join(w.tree(dir), " ")
	if out, err := alice.sh(`rm -rf "$1" /dev/shm/brs-exec-"$(id -u)"`, dir); err != nil || w.tree(dir) != nil {
		t.Fatalf("%v %s, left %v", err, out, w.tree(dir))
	}
	eventually(t, patience, "the files", func() bool {
		out, err := alice.sh(`"$1" credentials --run-dir "$2" && cat "$2/config" "$2/credentials"`, brsExec(t), dir)
		return err == nil && strings.Contains(out, "Expiration") && strings.Contains(out, "credential_process")
	})
	for _, name := range strings.Fields(before) {
		eventually(t, patience, name, func() bool { _, err := os.Lstat(filepath.Join(dir, name)); return err == nil })
	}
	w.asksEndpoint(p.stdout.lines()[1], p.stdout.lines()[2])
	// Another run takes it for one that lives.
	if code := w.brsExec("--role-arn", roleARN, "--", "true").exit(); code != 0 {
		t.Errorf("another run: exit code %d", code)
	}
	if out, err := alice.sh(`"$1" status`, brsExec(t)); err != nil || !strings.Contains(out, strconv.Itoa(p.cmd.Process.Pid)) {
		t.Errorf("status: %v, %s", err, out)
	}
	w.finishPlain(p, 0)
	if n := strings.Count(p.stderr.String(), "was made again"); n != 1 {
		t.Errorf("said %d times:\n%s", n, p.stderr.String())
	}
	if left := w.tree(filepath.Dir(dir)); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestVanishedAndTaken: another user has made a directory of that name, with links
// to files that are alice's alone, or files that all can read.
func TestVanishedAndTaken(t *testing.T) {
	slow(t)
	t.Parallel()
	for name, trap := range map[string]string{
		"links": `ln -s "$2/authorized_keys" "$1/state"; ln -s "$2/thesis" "$1/credentials"; ln -s "$2/thesis" "$1/config"; ln -s "$2/thesis" "$1/status"`,
		"files": `: >"$1/state"; : >"$1/credentials"; : >"$1/status"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alice, mallory := neighbours(t)
			w := alice.world(8 * time.Second)
			alice.write("authorized_keys", "ssh-ed25519 mine", 0o600)
			alice.write("thesis", "years of work", 0o644)
			p := w.brsExec("--role-arn", roleARN, "--", "sh", "-c", tellEndpoint)
			eventually(t, patience, "the command's lines", func() bool { return len(p.stdout.lines()) == 3 })
			dir := filepath.Dir(p.stdout.lines()[0])
			if out, err := alice.sh(`rm -rf "$1" /dev/shm/brs-exec-"$(id -u)"`, dir); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			if out, err := mallory.sh(`umask 0; mkdir -p "$1"; `+trap, dir, alice.home); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			w.awaitRefreshes(2)
			eventually(t, patience, "word of it", func() bool { return strings.Contains(p.stderr.String(), "cannot be made again") })
			for file, want := range map[string]string{"authorized_keys": "ssh-ed25519 mine", "thesis": "years of work"} {
				if got := w.read(file); got != want {
					t.Errorf("%s holds %q", file, got)
				}
			}
			out, _ := mallory.sh(`cat "$1"/*`, dir)
			if s := leaked(out, w.server.Secrets()); s != "" {
				t.Errorf("mallory reads a secret: %s…", s[:4])
			}
			if out, err := alice.sh(`"$1" credentials --run-dir "$2"`, brsExec(t), dir); err == nil || !strings.Contains(out, "is owned by uid "+strconv.Itoa(mallory.uid)) {
				t.Errorf("credentials of her directory: %v, %s", err, out)
			}
			w.asksEndpoint(p.stdout.lines()[1], p.stdout.lines()[2])

			// When she lets go of it, the job's files are back.
			if out, err := mallory.sh(`rm -rf "$(dirname "$1")"`, dir); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			eventually(t, patience, "the files", func() bool {
				out, err := alice.sh(`"$1" credentials --run-dir "$2"`, brsExec(t), dir)
				return err == nil && strings.Contains(out, "Expiration")
			})
			w.finishPlain(p, 0)
		})
	}
}

// TestSquatted: another user has the name of the directory of alice's own already.
func TestSquatted(t *testing.T) {
	t.Parallel()
	alice, mallory := neighbours(t)
	squat := "/dev/shm/brs-exec-" + strconv.Itoa(alice.uid)
	if out, err := mallory.sh(`umask 0; mkdir "$1"`, squat); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	w := alice.world(time.Hour)
	var dirs []string
	for range 2 {
		p := w.brsExec("--role-arn", roleARN, "--", "sh", "-c", `echo "${AWS_CONFIG_FILE%/*}"; read -r _; exit 0`)
		eventually(t, patience, "the command's line", func() bool { return len(p.stdout.lines()) == 1 })
		eventually(t, patience, "both in the list", func() bool {
			out, err := alice.sh(`"$1" status`, brsExec(t))
			return err == nil && strings.Contains(out, strconv.Itoa(p.cmd.Process.Pid))
		})
		defer w.finishPlain(p, 0)
		dirs = append(dirs, p.stdout.lines()[0])
	}
	in := filepath.Dir(dirs[0])
	if !strings.HasPrefix(in, squat+"-") || filepath.Dir(dirs[1]) != in {
		t.Errorf("run directories %q, want both below one of %s-…", dirs, squat)
	}
	if out, err := mallory.sh(`ls "$1"`, in); err == nil {
		t.Errorf("mallory sees %q", out)
	}
	if left := w.tree(squat); len(left) > 0 {
		t.Errorf("in hers: %q", left)
	}
}

// TestMemoryFirst: root's files are in memory also where /run is on a disk.
func TestMemoryFirst(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, whose directory is in /run")
	}
	w := newWorld(t, time.Hour)
	var st syscall.Statfs_t
	const tmpfs = 0x01021994
	if err := syscall.Statfs(w.dir, &st); err != nil || st.Type == tmpfs {
		t.Skipf("NOT TESTED: needs a directory on a disk: %v", err)
	}
	w.unset("XDG_RUNTIME_DIR")
	for _, tt := range []struct{ mount, want string }{
		{"mount --bind . /run", "/dev/shm/brs-exec-0"}, {"mount -t tmpfs none /run", "/run/brs-exec"},
	} {
		p := w.hidden(inMounts(t, tt.mount+` && exec "$@"`), "--role-arn", roleARN, "--", "sh", "-c", `dirname "$(dirname "$AWS_CONFIG_FILE")"`)
		if code := p.exit(); code != 0 || p.stdout.String() != tt.want+"\n" {
			t.Errorf("%s: exit code %d, made in %q, want %s\n%s", tt.mount, code, p.stdout.String(), tt.want, p.stderr.String())
		}
	}
}

// TestNoInotify: the instances of which a user has 128 are the command's.
func TestNoInotify(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, who alone can look at the descriptors of a brs-exec that runs a command")
	}
	slow(t)
	t.Parallel()
	w := newWorld(t, 20*time.Second)
	p := w.startChild()
	w.awaitRefreshes(3)
	fds, err := filepath.Glob("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/fd/*")
	if err != nil || len(fds) == 0 {
		t.Fatalf("%v %v", fds, err)
	}
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); strings.Contains(to, "inotify") {
			t.Errorf("%s is %s", fd, to)
		}
	}
	w.finish(p)
}

// TestEarlyAnswer: a credential_process answers before the AWS SDK's tables, which
// take longer than the answer, are initialised: as it is spelled for one profile, and
// for one of many.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	list := filepath.Join(w.dir, "fleet.yaml")
	if err := os.WriteFile(list, []byte("profiles:\n- {name: team/a, role-arn: "+roleARN+"}\n- {name: b, role-arn: "+roleARN+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ run, ask []string }{
		{[]string{"--role-arn", roleARN}, nil},
		{[]string{"--config", list}, []string{"--profile", "team_2Fa"}},
	} {
		p := w.brsExec(append(tt.run, "--", "sh", "-c", `echo "${AWS_CONFIG_FILE%/*}"; read -r _; exit 0`)...)
		eventually(t, patience, "the command's line", func() bool { return len(p.stdout.lines()) == 1 })
		w.reveals, w.env["GODEBUG"] = true, "inittrace=1"
		q := w.brsExec(append([]string{"credentials", "--run-dir", p.stdout.lines()[0]}, tt.ask...)...)
		if code := q.exit(); code != 0 || !strings.Contains(q.stderr.String(), "init os @") {
			t.Errorf("%q: exit code %d\n%s", tt.ask, code, q.stderr.String())
		}
		for _, name := range []string{"init github.com/aws/aws-sdk-go-v2/service/", "init brs-exec.example/brs-exec/"} {
			if strings.Contains(q.stderr.String(), name) {
				t.Errorf("%q: it waited for %s…:\n%s", tt.ask, name, q.stderr.String())
			}
		}
		delete(w.env, "GODEBUG")
		w.finishPlain(p, 0)
	}
}

// TestEarlyStage: PID 1 starts the real brs-exec before any of that, too. Packages are
// initialised in the order of their paths: see "Renaming the module" in CONTRIBUTING.md.
func TestEarlyStage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.env["GODEBUG"] = "inittrace=1"
	argv := asPID1(t, brsExec(t), "--role-arn", roleARN, "--", "true")
	p := w.start(argv[0], argv[1:]...)
	code := p.exit()
	const first = "init internal/bytealg @"
	blocks := strings.Split(p.stderr.String(), first)
	if code != 0 || len(blocks) != 3 || !strings.Contains(blocks[1], "init os @") || !strings.Contains(blocks[2], "/refresh/cli @") {
		t.Fatalf("exit code %d, want the packages of two processes:\n%s", code, p.stderr.String())
	}
	for _, name := range []string{"init github.com/aws/aws-sdk-go-v2/service/", "init brs-exec.example/brs-exec/refresh"} {
		if strings.Contains(blocks[1], name) {
			t.Errorf("it waited for %s…:\n%s", name, blocks[1])
		}
	}
}

// TestStatusOfLoginShell: a shell without $XDG_RUNTIME_DIR sees the runs of one that
// has it.
func TestStatusOfLoginShell(t *testing.T) {
	t.Parallel()
	alice, _ := neighbours(t)
	runtime := "/run/user/" + strconv.Itoa(alice.uid)
	if err := errors.Join(os.MkdirAll(runtime, 0o755), os.Chown(runtime, alice.uid, alice.uid), os.Chmod(runtime, 0o700)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(runtime) })
	w := alice.world(time.Hour)
	w.env["XDG_RUNTIME_DIR"] = runtime
	p := w.brsExec("--role-arn", roleARN, "--", "sh", "-c", `echo "${AWS_CONFIG_FILE%/*}"; read -r _; exit 0`)
	eventually(t, patience, "the command's line", func() bool { return len(p.stdout.lines()) == 1 })
	if dir := p.stdout.lines()[0]; filepath.Dir(dir) != runtime {
		t.Errorf("made %s, want it in %s", dir, runtime)
	}
	eventually(t, patience, "it in the list", func() bool {
		out, err := alice.sh(`"$1" status`, brsExec(t))
		return err == nil && strings.Contains(out, strconv.Itoa(p.cmd.Process.Pid))
	})
	w.finishPlain(p, 0)
}

// TestForeignLink: a base that another user can turn into another one is none.
func TestForeignLink(t *testing.T) {
	t.Parallel()
	alice, mallory := neighbours(t)
	w := alice.world(time.Hour)
	for name, script := range map[string]string{
		"a link":         `ln -s /dev/shm "$1"`,
		"a directory":    `umask 0; mkdir "$1"; chmod +t "$1"`,
		"one above ours": `umask 0; mkdir "$1" && mkdir "$1/ours"`,
	} {
		base := filepath.Join(mallory.home, strings.ReplaceAll(name, " ", "-"))
		if out, err := mallory.sh(script, base); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		w.env["XDG_RUNTIME_DIR"] = base
		if name == "one above ours" {
			w.env["XDG_RUNTIME_DIR"] = base + "/ours"
			if err := errors.Join(os.Chown(base+"/ours", alice.uid, alice.uid), os.Chmod(base+"/ours", 0o700)); err != nil {
				t.Fatal(err)
			}
		}
		p := w.brsExec("--role-arn", roleARN, "--", "sh", "-c", `echo "$AWS_CONFIG_FILE"`)
		if code := p.exit(); code != 0 || strings.HasPrefix(p.stdout.String(), mallory.home) {
			t.Errorf("%s: exit code %d, made %s%s", name, code, p.stdout.String(), p.stderr.String())
		}
	}
}
