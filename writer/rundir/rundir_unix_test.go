//go:build unix

package rundir

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"brs-exec.example/brs-exec/writer/filelock"
	"brs-exec.example/brs-exec/writer/writertest"
)

func noFill(*Dir) error { return nil }

func TestRunDirTakesTheFirstThatWorks(t *testing.T) {
	t.Parallel()
	good := openBase(t)
	for _, tt := range []struct {
		name, why string
		bad       func(t *testing.T) base
	}{
		{"not set", "$X (not set)", func(*testing.T) base { return base{label: "$X"} }},
		{"relative", "relative/dir (not an absolute path)", func(*testing.T) base { return base{path: "relative/dir"} }},
		{"missing", "(no such file or directory)", func(t *testing.T) base { return base{path: openBase(t) + "/none"} }},
		{"a file", "(not a directory)", func(t *testing.T) base {
			path := filepath.Join(openBase(t), "file")
			put(t, path, "", 0o600)
			return base{path: path}
		}},
		{"a space in the path", "characters other than", func(t *testing.T) base {
			path := filepath.Join(openBase(t), "a b")
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			return base{path: path}
		}},
		{"anyone may rename in it", "no sticky bit (mode 0777)", func(t *testing.T) base {
			dir := openBase(t)
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			return base{path: dir}
		}},
		{"another user's", "owned by uid 1234, not by us or root", func(t *testing.T) base {
			writertest.NeedRoot(t)
			dir := openBase(t)
			if err := os.Chown(dir, 1234, 1234); err != nil {
				t.Fatal(err)
			}
			return base{path: dir}
		}},
		{"to be ours alone and is not", "mode 0755: must be ours and 0700", func(t *testing.T) base { return base{path: openBase(t), own: true} }},
		{"a group may write to it", "no sticky bit (mode 0775)", func(t *testing.T) base {
			dir := openBase(t)
			if err := os.Chmod(dir, 0o775); err != nil {
				t.Fatal(err)
			}
			return base{path: dir}
		}},
		{"anyone may rename it", "and it has no sticky bit (mode 0777)", func(t *testing.T) base {
			dir := openBase(t)
			for _, err := range []error{os.Mkdir(dir+"/in", 0o700), os.Chmod(dir, 0o777)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			return base{path: dir + "/in"}
		}},
		{"another user may rename it", "is owned by uid 1234, not by us or root", func(t *testing.T) base {
			writertest.NeedRoot(t)
			dir := openBase(t)
			for _, err := range []error{os.Mkdir(dir+"/in", 0o700), os.Chown(dir, 1234, 1234)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			return base{path: dir + "/in"}
		}},
		{"through another user's link", "is owned by uid 1234, not by us or root", func(t *testing.T) base {
			writertest.NeedRoot(t)
			dir := openBase(t)
			for _, err := range []error{os.Symlink(openBase(t), dir+"/link"), os.Lchown(dir+"/link", 1234, 1234)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			return base{path: dir + "/link"}
		}},
		{"a circle", "too many levels of symbolic links", func(t *testing.T) base {
			dir := openBase(t)
			if err := os.Symlink("link", dir+"/link"); err != nil {
				t.Fatal(err)
			}
			return base{path: dir + "/link"}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := tt.bad(t)
			d, err := makeIn([]base{bad, {path: good}}, noFill)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Dir(d.path) != good {
				t.Errorf("made %s, want it in %s", d.path, good)
			}
			if err := d.Remove(); err != nil {
				t.Error(err)
			}
			if bad.path != "" {
				if left, err := filepath.Glob(filepath.Join(bad.path, "brs-exec*")); err == nil && len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			}
			_, err = makeIn([]base{bad, bad}, noFill)
			if err == nil || !strings.HasPrefix(err.Error(), "no writable run directory: tried ") || !strings.Contains(err.Error(), tt.why) || strings.Contains(err.Error(), "\n") {
				t.Errorf("makeIn = %v, want one line with %q", err, tt.why)
			}
		})
	}
	if got := names(t, good); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
}

// inSticky is the place of ours in a directory that all can write to.
func inSticky(t *testing.T) (base, place) {
	t.Helper()
	dir := openBase(t)
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	b := base{path: dir}
	in, err := b.place()
	if err != nil {
		t.Fatal(err)
	}
	return b, in
}

// In a directory that others can write to they are in one of our own, which stays.
func TestRunDirIn(t *testing.T) {
	t.Parallel()
	sticky, in := inSticky(t)
	link := filepath.Join(openBase(t), "link")
	if err := os.Symlink(sticky.path, link); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(openBase(t), "new")
	for _, tt := range []struct {
		base base
		in   string
	}{
		{sticky, in.path}, {base{path: link + "/"}, in.path},
		{base{path: own, own: true, make: true}, own},
	} {
		d, err := makeIn([]base{tt.base}, noFill)
		if err != nil {
			t.Fatal(err)
		}
		if want := tt.in + fmt.Sprintf("/brs-exec-%d-", os.Getpid()); !strings.HasPrefix(d.path, want) || !isRunName(filepath.Base(d.path)) {
			t.Errorf("path = %s, want %s…", d.path, want)
		}
		wantMode(t, tt.in, 0o700)
		wantMode(t, d.path, 0o700)
		wantMode(t, filepath.Join(d.path, lockedFile), 0o600)
		if err := d.Remove(); err != nil {
			t.Error(err)
		}
		if got := names(t, tt.in); len(got) > 0 {
			t.Errorf("left behind: %v", got)
		}
	}
	if want := fmt.Sprintf("%s/brs-exec-%d", sticky.path, os.Geteuid()); in.path != want {
		t.Errorf("the place is %s, want %s", in.path, want)
	}
}

// Somebody else has the name of the directory of ours: there is another one,
// which later runs find again, and so does whoever lists or sweeps them.
func TestRunDirSquatted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		squat func(path string) error
		root  bool
	}{
		{"a directory", func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chown(path, 1234, 1234)) }, true},
		{"two directories", func(path string) error {
			next := path + "-0000000000000000"
			return errors.Join(os.Mkdir(path, 0o700), os.Chown(path, 1234, 1234), os.Mkdir(next, 0o777), os.Chown(next, 1234, 1234))
		}, true},
		{"a file", func(path string) error { return os.WriteFile(path, nil, 0o600) }, false},
		{"a link to a directory of ours", func(path string) error { return os.Symlink(filepath.Dir(filepath.Dir(path)), path) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.root {
				writertest.NeedRoot(t)
			}
			b, in := inSticky(t)
			if err := os.Remove(in.path); err != nil {
				t.Fatal(err)
			}
			if err := tt.squat(in.path); err != nil {
				t.Fatal(err)
			}
			one, err := makeIn([]base{b}, noFill)
			if err != nil {
				t.Fatal(err)
			}
			two, err := makeIn([]base{b}, noFill)
			if err != nil {
				t.Fatal(err)
			}
			spare := filepath.Dir(one.path)
			if random, ok := strings.CutPrefix(spare, in.path+"-"); !ok || !isRandom(random) || filepath.Dir(two.path) != spare {
				t.Errorf("made %s and %s, want both below one of %s-…", one.path, two.path, in.path)
			}
			if runs := runsIn([]base{b}); len(runs) != 2 {
				t.Errorf("runs: %+v, want both", runs)
			}
			// As if killed: the process that it names lives, so make it another. What another test
			// starts has the descriptor, too, until its exec(2).
			filelock.Release(one.lock)
			put(t, filepath.Join(one.path, lockedFile), "4194304 5\n", 0o600)
			for _, p := range b.places() {
				if p.path == in.path {
					t.Error("what is not ours counts as a place of ours")
				}
				sweep(p, rand.IntN)
			}
			if got := names(t, spare); len(got) != 1 || got[0] != filepath.Base(two.path) {
				t.Errorf("after the sweep: %v, want the second alone", got)
			}
			if err := two.Remove(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(in.path); err != nil {
				t.Errorf("what was there: %v", err)
			}
		})
	}
}

// In a set-group-id directory, too, a run directory is of mode 0700 and no more.
func TestRunDirMode(t *testing.T) {
	t.Parallel()
	dir := openBase(t)
	if err := os.Chmod(dir, 0o755|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	d, err := Make([]string{dir}, noFill)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(d.Path()); err != nil || info.Mode() != os.ModeDir|0o700 {
		t.Errorf("mode = %v, %v, want drwx------", info.Mode(), err)
	}
	if err := d.Remove(); err != nil {
		t.Error(err)
	}
}

// Whatever the umask, the modes are what they should be: a lock that later runs could not
// open would keep them from sweeping the directory.
func TestRunDirUmask(t *testing.T) {
	t.Parallel()
	for _, mask := range []string{"0", "077", "0277", "0477", "0777"} {
		in := openBase(t)
		if err := os.Chmod(in, 0o777|os.ModeSticky); err != nil {
			t.Fatal(err)
		}
		cmd, stdin, dir := startHelper(t, "umask", in, mask)
		wantMode(t, filepath.Dir(dir), 0o700)
		wantMode(t, dir, 0o700)
		for _, name := range []string{lockedFile, ConfigFile, "state"} {
			wantMode(t, filepath.Join(dir, name), 0o600)
		}
		if got := len(names(t, dir)); got != 3 {
			t.Errorf("umask %s: %d files, want 3", mask, got)
		}
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("umask %s: %v", mask, err)
		}
		if left := names(t, filepath.Dir(dir)); len(left) > 0 {
			t.Errorf("umask %s: left %v", mask, left)
		}
	}
}

// TestRunDirSwapped: whatever gets the name of the directory while it is filled, nothing is
// written there, and it is not taken for the run directory.
func TestRunDirSwapped(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		swap func(path, elsewhere string) error
	}{
		{"a link", func(path, elsewhere string) error { return os.Symlink(elsewhere, path) }},
		{"a directory", func(path, _ string) error { return os.Mkdir(path, 0o777) }},
		{"nothing", func(string, string) error { return nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, elsewhere := openBase(t), openBase(t)
			var moved string
			d, err := Make([]string{in}, func(d *Dir) error {
				moved = d.at() + "-moved"
				err := errors.Join(d.Put(ConfigFile, []byte("1")), os.Rename(d.at(), moved), tt.swap(d.at(), elsewhere))
				return errors.Join(err, d.Put("state", []byte(secret)), d.Link(linkName, "/bin/true"))
			})
			if (err == nil) != (tt.name != "nothing") {
				t.Errorf("Make: %v", err)
			}
			if d != nil {
				if d.IsThere() {
					t.Error("what took its place counts as the run directory")
				}
				if err := d.Put(extraFile, nil); err != nil {
					t.Error(err)
				}
				if root, err := d.Open(); err == nil {
					if _, err := root.Lstat("state"); err != nil {
						t.Error("Open opens what took its place")
					}
					root.Close()
				}
				if missing, err := d.Recover(); !missing || err == nil {
					t.Errorf("Recover = %v, %v, want an error", missing, err)
				}
				holds(t, moved, map[string]string{ConfigFile: "1", "state": secret, linkName: "/bin/true", extraFile: "", lockedFile: read(t, filepath.Join(moved, lockedFile))})
				if err := d.Remove(); err != nil {
					t.Error(err)
				}
				if got := names(t, d.Path()); len(got) > 0 {
					t.Errorf("in what took its place: %v", got)
				}
			}
			if got := names(t, moved); len(got) > 0 {
				t.Errorf("left: %v", got)
			}
			if got := names(t, elsewhere); len(got) > 0 {
				t.Errorf("elsewhere: %v", got)
			}
		})
	}
}

// A directory of ours that its owner has opened to others is closed again.
func TestRunDirClosesItsParent(t *testing.T) {
	t.Parallel()
	b, in := inSticky(t)
	if err := os.Chmod(in.path, 0o755); err != nil {
		t.Fatal(err)
	}
	if again, err := b.place(); err != nil || again != in {
		t.Errorf("place = %v, %v, want %v", again, err, in)
	}
	wantMode(t, in.path, 0o700)
}

// If filling fails (a full disk) the next candidate is tried.
func TestRunDirFill(t *testing.T) {
	t.Parallel()
	first, second := openBase(t), openBase(t)
	bases := []base{{path: first}, {path: second}}
	full := func(d *Dir) error {
		if strings.HasPrefix(d.at(), first) {
			return &os.PathError{Op: "write", Path: d.at() + "/config", Err: syscall.ENOSPC}
		}
		return d.Put("config", []byte(d.Path()))
	}
	d, err := makeIn(bases, full)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(d.path, "config")); string(got) != d.path || filepath.Dir(d.path) != second {
		t.Errorf("fill was told %q, %v, want %s", got, err, d.path)
	}
	if err := d.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := makeIn(bases[:1], full); err == nil || !strings.Contains(err.Error(), first+" (no space left on device)") {
		t.Errorf("makeIn = %v, want the reason", err)
	}
	for _, dir := range []string{first, second} {
		if got := names(t, dir); len(got) > 0 {
			t.Errorf("left behind: %v", got)
		}
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	_, _, living := startHelper(t, "run", openBase(t)) // of a process that lives
	lives, err := os.ReadFile(filepath.Join(living, lockedFile))
	if err != nil {
		t.Fatal(err)
	}
	const gone = 1 << 22 // above the largest process id
	const random = "-0123456789abcdef"
	old := time.Now().Add(-2 * makingTimeout)
	for _, tt := range []struct {
		name, dir string
		lock      string // content of its lock file; "" for none
		content   bool   // a file with a secret in it
		age       time.Time
		mode      os.FileMode
		stays     bool
	}{
		{name: "process gone", dir: "brs-exec-1" + random, lock: fmt.Sprintf("%d 5\n", gone), content: true},
		{name: "process lives", dir: "brs-exec-1" + random, lock: string(lives), content: true, stays: true},
		{name: "killed before it said who it was", dir: "brs-exec-1" + random, lock: "x", content: true},
		{name: "removal cut short", dir: "brs-exec-1" + random},
		{name: "no lock but content", dir: "brs-exec-1" + random, content: true, stays: true},
		{name: "being made", dir: ".brs-exec-1" + random, lock: "x", age: time.Now(), stays: true},
		{name: "killed while being made", dir: ".brs-exec-1" + random, lock: "x", content: true, age: old},
		{name: "killed before the lock", dir: ".brs-exec-1" + random, age: old},
		{name: "another name", dir: "brs-exec-build", lock: "x", stays: true},
		{name: "nearly our name", dir: "brs-exec-1-0123456789abcdeg", lock: "x", stays: true},
		{name: "open to others", dir: "brs-exec-1" + random, lock: "x", mode: 0o755, stays: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := openBase(t)
			dir := filepath.Join(in, tt.dir)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if tt.lock != "" {
				put(t, filepath.Join(dir, lockedFile), tt.lock, 0o600)
			}
			if tt.content {
				put(t, filepath.Join(dir, "credentials"), "secret", 0o600)
			}
			if tt.mode != 0 {
				if err := os.Chmod(dir, tt.mode); err != nil {
					t.Fatal(err)
				}
			}
			if !tt.age.IsZero() {
				if err := os.Chtimes(dir, tt.age, tt.age); err != nil {
					t.Fatal(err)
				}
			}
			before := names(t, dir)
			sweep(place{path: in}, rand.IntN)
			_, err := os.Stat(dir)
			if stays := err == nil; stays != tt.stays {
				t.Fatalf("it stays: %v, want %v", stays, tt.stays)
			}
			if tt.stays && len(names(t, dir)) != len(before) {
				t.Errorf("it lost files: %v", names(t, dir))
			}
		})
	}
}

func TestSweepFollowsNoLinks(t *testing.T) {
	t.Parallel()
	in, outside := openBase(t), openBase(t)
	put(t, filepath.Join(outside, "keep"), "x", 0o600)
	put(t, filepath.Join(outside, lockedFile), "x", 0o600)
	if err := os.Chmod(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(in, "brs-exec-1-0123456789abcdef")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(in, "brs-exec-2-0123456789abcdef")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "keep"), filepath.Join(dir, "config")); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, lockedFile), "x", 0o600)
	sweep(place{path: in}, rand.IntN)
	holds(t, outside, map[string]string{"keep": "x", lockedFile: "x"})
	if got := names(t, in); len(got) != 1 || got[0] != filepath.Base(link) {
		t.Errorf("left %v, want the link", got)
	}
}

// A lock that is held means alive, whatever the file says: the process may be
// in another process id namespace.
func TestSweepBelievesTheLock(t *testing.T) {
	t.Parallel()
	in := openBase(t)
	cmd, stdin, dir := startHelper(t, "run", in)
	put(t, filepath.Join(dir, lockedFile), "4194304 5\n", 0o600)
	sweep(place{path: in}, rand.IntN)
	if _, err := os.Stat(filepath.Join(dir, "config")); err != nil {
		t.Fatalf("a live directory was swept: %v", err)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if got := names(t, in); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
}

// One that was killed leaves its directory, and the next one takes it away; a
// third one that lives stays.
func TestKilledIsSwept(t *testing.T) {
	t.Parallel()
	in := openBase(t)
	_, _, alive := startHelper(t, "run", in)
	cmd, _, dead := startHelper(t, "run", in)
	cmd.Process.Kill()
	cmd.Wait()
	if _, err := os.Stat(filepath.Join(dead, "config")); err != nil {
		t.Fatalf("nothing to sweep: %v", err)
	}
	_, _, next := startHelper(t, "run", in)
	if _, err := os.Stat(filepath.Join(dead, "config")); err != nil {
		t.Errorf("the start of the next one was delayed by a sweep: %v", err)
	}
	sweep(place{path: in}, rand.IntN)
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead one's directory is still there: %v", err)
	}
	for _, dir := range []string{alive, next} {
		if _, err := os.Stat(filepath.Join(dir, "config")); err != nil {
			t.Errorf("a live one's is gone: %v", err)
		}
	}
}

// Many that start at once sweep the same dead ones and none of each other.
func TestStartTogether(t *testing.T) {
	t.Parallel()
	in := openBase(t)
	for i := range 5 {
		dir := filepath.Join(in, fmt.Sprintf("brs-exec-%d-0123456789abcdef", i+1))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, lockedFile), "4194304 5\n", 0o600)
	}
	const n = 8
	made := make(chan *Dir, n)
	for range n {
		go func() {
			d, err := makeIn([]base{{path: in}}, noFill)
			if err != nil {
				t.Error(err)
			}
			sweep(place{path: in}, rand.IntN)
			made <- d
		}()
	}
	for range n {
		if d := <-made; d != nil {
			if _, err := os.Stat(filepath.Join(d.path, lockedFile)); err != nil {
				t.Error(err)
			}
			defer d.Remove()
		}
	}
	if got := names(t, in); len(got) != n {
		t.Errorf("%d directories, want %d: %v", len(got), n, got)
	}
}

// Memory comes before disk, and a directory that systemd takes away when a
// session ends is not the first for who is of no session.
func TestDefaultBases(t *testing.T) {
	t.Parallel()
	env := map[string]string{"XDG_RUNTIME_DIR": "/run/user/1", "TMPDIR": "/var/tmp"}
	var got []string
	for _, b := range defaultBases(func(name string) string { return env[name] }) {
		got = append(got, b.path)
	}
	own := fmt.Sprintf("/run/user/%d", os.Geteuid())
	want := "/run/user/1 /dev/shm " + own + " /var/tmp /tmp"
	switch {
	case os.Geteuid() == 0 && inMemory("/run"):
		want = "/run/user/1 /run/brs-exec /dev/shm " + own + " /var/tmp /tmp"
	case os.Geteuid() == 0:
		want = "/run/user/1 /dev/shm " + own + " /run/brs-exec /var/tmp /tmp"
	}
	if s := strings.Join(got, " "); s != want {
		t.Errorf("candidates = %s, want %s", s, want)
	}
}

func TestPlainPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][2]bool{ // on unix, on Windows
		"/usr/bin/brs-exec": {true, true}, "/opt/a b": {false, false}, `C:\PROGRA~1\brs-exec.exe`: {false, true}, "/é": {false, false},
	} {
		if got := [2]bool{plainOn("linux", path), plainOn("windows", path)}; got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

// Of many a sweep looks at some, and another one at others.
func TestSweepOfMany(t *testing.T) {
	t.Parallel()
	in := openBase(t)
	const n = 3*maxSwept + 1
	for i := range n {
		dir := filepath.Join(in, fmt.Sprintf("brs-exec-%d-0123456789abcdef", i+1))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, lockedFile), "4194304 5\n", 0o600)
	}
	sweep(place{path: in}, func(n int) int { return n - 1 }) // and so from the last to the first
	if left := len(names(t, in)); left != n-maxSwept {
		t.Errorf("%d of %d are left, want %d less", left, n, maxSwept)
	}
	for range 3 {
		sweep(place{path: in}, func(int) int { return 0 })
	}
	if left := names(t, in); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
