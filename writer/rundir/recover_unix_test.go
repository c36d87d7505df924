//go:build unix

package rundir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/writer/writertest"
)

const (
	linkName = "link"
	secret   = "SECRET"
)

// filled is a run directory, in one that others can write to, with files of each kind.
func filled(t *testing.T) (d *Dir, dirs []string) {
	t.Helper()
	b, _ := inSticky(t)
	d, err := Make([]string{b.path}, func(d *Dir) error {
		return errors.Join(d.Link(linkName, "/usr/bin/odd name"), d.Put(ConfigFile, []byte(d.Path())))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Remove() })
	if err := errors.Join(d.Put("state", []byte(secret)), d.Put(extraFile, []byte("{}\n"))); err != nil {
		t.Fatal(err)
	}
	return d, []string{b.path}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		remove func(dir string) error
	}{
		{"the directory", os.RemoveAll},
		{"the directory with the user's own above it", func(dir string) error { return os.RemoveAll(filepath.Dir(dir)) }},
		{"the directory moved away", func(dir string) error { return os.Rename(dir, dir+"x") }},
		{"all that is in it", func(dir string) error {
			entries, err := os.ReadDir(dir)
			for _, e := range entries {
				err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
			}
			return err
		}},
		{"a file", func(dir string) error { return os.Remove(filepath.Join(dir, ConfigFile)) }},
		{"a link", func(dir string) error { return os.Remove(filepath.Join(dir, linkName)) }},
		{"the lock", func(dir string) error { return os.Remove(filepath.Join(dir, lockedFile)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, dirs := filled(t)
			want := writertest.Contents(t, d.Path())
			lock, held := d.lock, d.held
			if err := tt.remove(d.Path()); err != nil {
				t.Fatal(err)
			}
			for _, lost := range []bool{true, false} {
				if missing, err := d.Recover(); missing != lost || err != nil {
					t.Errorf("Recover = %v, %v, want %v", missing, err, lost)
				}
			}
			if diff := cmp.Diff(want, writertest.Contents(t, d.Path())); diff != "" {
				t.Errorf("made again (-was +is):\n%s", diff)
			}
			wantMode(t, d.Path(), 0o700)
			wantMode(t, filepath.Dir(d.Path()), 0o700)
			if d.lock != lock && lock.Close() == nil {
				t.Error("the lock of the directory that is gone was still open")
			}
			if _, err := held.lstat("."); d.held != held && err == nil {
				t.Error("the directory that is gone was still open")
			}
			// Nobody takes it for one that was left behind.
			Sweep(dirs)
			if diff := cmp.Diff([]Run{{PID: os.Getpid(), UID: os.Geteuid(), Dir: d.Path()}}, Runs(dirs)); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
			if err := d.Put("state", []byte("next")); err != nil || read(t, filepath.Join(d.Path(), "state")) != "next" {
				t.Errorf("Put: %v", err)
			}
		})
	}
}

// TestRecoverTaken: somebody else has taken the name. Nothing of ours goes there, and no
// link is followed.
func TestRecoverTaken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		take func(dir, victim string) error
	}{
		{"by a directory with links", func(dir, victim string) error {
			err := os.Mkdir(dir, 0o777)
			for _, name := range []string{ConfigFile, "state", extraFile, lockedFile} {
				err = errors.Join(err, os.Symlink(victim, filepath.Join(dir, name)))
			}
			return err
		}},
		{"by an empty directory", func(dir, victim string) error { return os.Mkdir(dir, 0o777) }},
		{"by a directory with files", func(dir, victim string) error {
			err := os.Mkdir(dir, 0o777)
			for _, name := range []string{ConfigFile, "state"} {
				err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), nil, 0o666))
			}
			return err
		}},
		{"by a link to a directory", func(dir, victim string) error { return os.Symlink(filepath.Dir(victim), dir) }},
		{"by a file", func(dir, victim string) error { return os.WriteFile(dir, nil, 0o666) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, _ := filled(t)
			victim := filepath.Join(openBase(t), "authorized_keys")
			put(t, victim, "mine", 0o644)
			if err := errors.Join(os.RemoveAll(d.Path()), tt.take(d.Path(), victim)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if missing, err := d.Recover(); !missing || err == nil {
					t.Errorf("Recover = %v, %v, want an error", missing, err)
				}
				if err := d.Put(extraFile, []byte("{}\n")); err == nil {
					t.Error("Put: no error")
				}
			}
			holds(t, filepath.Dir(victim), map[string]string{filepath.Base(victim): "mine"})
			filepath.WalkDir(d.Path(), func(path string, _ os.DirEntry, _ error) error {
				if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), secret) {
					t.Errorf("%s has the secret", path)
				}
				return nil
			})
			if err := os.RemoveAll(d.Path()); err != nil {
				t.Fatal(err)
			}
			if missing, err := d.Recover(); !missing || err != nil {
				t.Errorf("when the name is free: %v, %v", missing, err)
			}
		})
	}
}

// What has taken the name is not opened, and a pipe not waited for.
func TestOpenTaken(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(path string) error{
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"link":      func(path string) error { return os.Symlink("/", path) },
		"nothing":   func(string) error { return nil },
	} {
		d, _ := filled(t)
		if err := errors.Join(os.Rename(d.Path(), d.Path()+"-moved"), take(d.Path())); err != nil {
			t.Fatal(err)
		}
		root, err := d.Open()
		if err != nil {
			continue
		}
		if _, err := root.Lstat("state"); err != nil {
			t.Errorf("%s: another one is opened", name)
		}
		root.Close()
	}
}

// A file that is another one now is left as it is: the command may have changed it.
func TestIsIntact(t *testing.T) {
	t.Parallel()
	d, _ := filled(t)
	if !d.IsIntact(ConfigFile, "state") || d.IsIntact("unknown") {
		t.Error("what was put is not what is there")
	}
	state := filepath.Join(d.Path(), "state")
	was, err := os.Stat(state)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"of another time": func() error {
			return errors.Join(os.WriteFile(state, []byte(strings.ToLower(secret)), 0), os.Chtimes(state, time.Time{}, was.ModTime().Add(time.Second)))
		},
		"of another size": func() error {
			return errors.Join(os.WriteFile(state, nil, 0), os.Chtimes(state, time.Time{}, was.ModTime()))
		},
		"of another identity": func() error {
			return errors.Join(os.WriteFile(state+"x", []byte(secret), 0o600), os.Chtimes(state+"x", time.Time{}, was.ModTime()), os.Rename(state+"x", state))
		},
	} {
		if err := d.Put("state", []byte(secret)); err != nil {
			t.Fatal(err)
		}
		if was, err = os.Stat(state); err == nil {
			err = change()
		}
		if err != nil || d.IsIntact("state") {
			t.Errorf("a file %s counts as ours: %v", name, err)
		}
	}
	if err := d.Put("state", []byte(secret)); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(d.Path(), ConfigFile), "other", 0o600)
	if missing, err := d.Recover(); missing || err != nil || d.IsIntact("state", ConfigFile) {
		t.Errorf("Recover = %v, %v, and the file counts as ours", missing, err)
	}
	if got := read(t, filepath.Join(d.Path(), ConfigFile)); got != "other" {
		t.Errorf("the file holds %q", got)
	}
}

// TestRecoverBase: what the run directory was made in has vanished, too.
func TestRecoverBase(t *testing.T) {
	t.Parallel()
	b := base{path: filepath.Join(openBase(t), "own"), own: true, make: true}
	d, err := makeIn([]base{b}, func(d *Dir) error { return d.Put(ConfigFile, nil) })
	if err != nil {
		t.Fatal(err)
	}
	defer d.Remove()
	if err := os.RemoveAll(b.path); err != nil {
		t.Fatal(err)
	}
	if missing, err := d.Recover(); !missing || err != nil {
		t.Errorf("Recover = %v, %v", missing, err)
	}
	wantMode(t, b.path, 0o700)
	read(t, filepath.Join(d.Path(), ConfigFile))

	// Where it was, a link leads elsewhere now.
	elsewhere := openBase(t)
	if err := errors.Join(os.RemoveAll(b.path), os.Chmod(elsewhere, 0o700), os.Symlink(elsewhere, b.path)); err != nil {
		t.Fatal(err)
	}
	if missing, err := d.Recover(); !missing || err == nil || !strings.Contains(err.Error(), "leads to") {
		t.Errorf("Recover = %v, %v, want where it leads", missing, err)
	}
}

// A file that could not be written, on a full disk for one, was not removed by anybody.
func TestRecoverNotPut(t *testing.T) {
	t.Parallel()
	d, _ := filled(t)
	name := filepath.Join("none", "file")
	if err := d.Put(name, nil); err == nil {
		t.Fatal("Put: no error")
	}
	if missing, err := d.Recover(); missing || err != nil {
		t.Errorf("Recover = %v, %v, want nothing missing", missing, err)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(d.Path(), ".none"), 0o700), os.Mkdir(filepath.Join(d.Path(), "none"), 0o700), d.Put(name, nil), os.Remove(filepath.Join(d.Path(), name))); err != nil {
		t.Fatal(err)
	}
	if missing, err := d.Recover(); !missing || err != nil {
		t.Errorf("Recover = %v, %v, want it made again", missing, err)
	}
}

// A client that goes by times sees each new file, whatever the clock says.
func TestPutIsLater(t *testing.T) {
	t.Parallel()
	d, _ := filled(t)
	path := filepath.Join(d.Path(), "state")
	future := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, future, future); err != nil {
		t.Fatal(err)
	}
	if err := d.Put("state", []byte("next")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.ModTime().Unix() <= future.Unix() {
		t.Errorf("changed at %v, %v, want it after %v by a second", info.ModTime(), err, future)
	}
}

func TestTouch(t *testing.T) {
	t.Parallel()
	d, _ := filled(t)
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, name := range []string{"state", lockedFile} {
		if err := os.Chtimes(filepath.Join(d.Path(), name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	d.Touch("state") // which is of no need yet
	if info, err := os.Stat(filepath.Join(d.Path(), "state")); err != nil || !info.ModTime().Equal(old) {
		t.Errorf("touched at once: %v, %v", info.ModTime(), err)
	}
	for _, by := range []time.Duration{-2 * touchEvery, 2 * touchEvery} { // the latter: the clock was set back
		d.touched = d.touched.Add(by)
		d.Touch("state")
		for _, name := range []string{"state", lockedFile} {
			path := filepath.Join(d.Path(), name)
			if info, err := os.Stat(path); err != nil || !info.ModTime().After(old.Add(time.Minute)) {
				t.Errorf("%s, %v after it was touched: %v, %v", name, -by, info.ModTime(), err)
			}
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A run directory that has vanished is not missed at the end, and one that is
// somebody else's now is left alone.
func TestRemoveOfWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	d, _ := filled(t)
	if err := errors.Join(os.Rename(d.Path(), d.Path()+"-gone"), os.Mkdir(d.Path(), 0o700)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Remove(); err != nil {
			t.Error(err)
		}
	}
	if missing, err := d.Recover(); missing || !errors.Is(err, os.ErrClosed) {
		t.Errorf("Recover after Remove = %v, %v", missing, err)
	}
	if err := d.Put(extraFile, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Put after Remove = %v", err)
	}
	if _, ok := d.Read("state"); ok {
		t.Error("somebody reads what was removed")
	}
	if got := fmt.Sprint(names(t, filepath.Dir(d.Path()))); got != fmt.Sprintf("[%s %[1]s-gone]", filepath.Base(d.Path())) {
		t.Errorf("left: %v", got)
	}
	if got := names(t, d.Path()+"-gone"); len(got) > 0 {
		t.Errorf("in what was ours: %v", got)
	}
}

func TestUsable(t *testing.T) {
	t.Parallel()
	good, gone := openBase(t), filepath.Join(openBase(t), "gone")
	usable, passed := Usable([]string{gone, gone, good})
	if want := []string{gone + " (no such file or directory)"}; usable != good || !cmp.Equal(passed, want) {
		t.Errorf("Usable = %q, %q, want %q, %q", usable, passed, good, want)
	}
	if usable, passed := Usable([]string{gone}); usable != "" || len(passed) != 1 {
		t.Errorf("Usable = %q, %q, want none and why", usable, passed)
	}
	if got := names(t, good); len(got) > 0 {
		t.Errorf("made %q", got)
	}
	toMake := filepath.Join(good, "new")
	if path, err := (base{path: toMake, own: true, make: true}).usable(); path != toMake || err != nil {
		t.Errorf("one that would be made: %q, %v", path, err)
	}
}

func TestBases(t *testing.T) {
	t.Parallel()
	dir := openBase(t)
	link := filepath.Join(openBase(t), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	paths := Bases(func(name string) string {
		return map[string]string{"XDG_RUNTIME_DIR": link, "TMPDIR": dir + "/none"}[name]
	})
	if len(paths) == 0 || paths[0] != dir {
		t.Errorf("Bases = %q, want %s first", paths, dir)
	}
	for _, path := range paths {
		if path == dir+"/none" {
			t.Error("a directory that is not there is one")
		}
	}
}
