package rundir

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/writer/process"
)

// startCat starts a cat, and returns once it runs: its environment may be missing for a
// moment after exec(2).
func startCat(command *exec.Cmd) (input io.WriteCloser, err error) {
	if input, err = command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	if _, err := input.Write([]byte("x")); err != nil {
		return nil, err
	}
	_, err = out.Read(make([]byte, 1))
	return input, err
}

// The command of a brs-exec that was killed keeps its credentials, as long as it
// lives and they do.
func TestSweepSparesWhatIsInUse(t *testing.T) {
	t.Parallel()
	hour := time.Now().Add(time.Hour)
	for _, tt := range []struct {
		name   string
		used   bool
		ends   time.Time
		shared bool
		stays  bool
		holds  bool // credentials
	}{
		{"in use", true, hour, false, true, true},
		{"in use, without end", true, time.Time{}, false, true, true},
		{"in use, but over", true, time.Now().Add(-time.Second), false, false, false},
		{"in use, but over, where others could take its name", true, time.Now().Add(-time.Second), true, true, false},
		{"not in use", false, hour, false, false, false},
		{"not in use, where others could take its name", false, hour, true, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := openBase(t)
			dir := filepath.Join(in, "brs-exec-1-0123456789abcdef")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			const gone = 1 << 22
			put(t, filepath.Join(dir, lockedFile), fmt.Sprintf("%d 5\n", gone), 0o600)
			creds := process.Credentials{AccessKeyID: "AKID", SecretAccessKey: "s", Delivered: time.Now().Add(-time.Minute), Expires: tt.ends}
			put(t, filepath.Join(dir, process.StateFile), string(creds.State()), 0o600)

			command := exec.Command("cat") // lives until its input ends
			command.Env = []string{"A=b", "AWS_CONFIG_FILE=" + filepath.Join(dir, ConfigFile), "C=d"}
			if !tt.used {
				command.Env[1] += ".other"
			}
			input, err := startCat(command)
			if err != nil {
				t.Fatal(err)
			}

			sweep(place{path: in, shared: tt.shared}, rand.IntN)
			left, err := os.ReadDir(dir)
			if (err == nil) != tt.stays || (len(left) > 0) != tt.holds {
				t.Errorf("it stays: %v, with %v; want %v, with credentials: %v", err == nil, left, tt.stays, tt.holds)
			}

			// And when nobody is left, the rest goes.
			input.Close()
			if err := command.Wait(); err != nil {
				t.Error(err)
			}
			sweep(place{path: in, shared: tt.shared}, rand.IntN)
			if left := names(t, in); len(left) > 0 {
				t.Errorf("for nobody, %v stays", left)
			}
		})
	}
}

// TestRemoveKeepsTheNameInUse: where others could make a directory of that name, and
// nowhere else, an empty one stays as long as a process was told to look there.
func TestRemoveKeepsTheNameInUse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ shared, used bool }{{true, true}, {true, false}, {false, true}} {
		used, want := tt.used, tt.shared && tt.used
		b := base{path: openBase(t)}
		if tt.shared {
			b, _ = inSticky(t)
		}
		d, err := makeIn([]base{b}, func(d *Dir) error { return d.Put(ConfigFile, nil) })
		if err != nil {
			t.Fatal(err)
		}
		command := exec.Command("cat") // lives until its input ends
		if used {
			command.Env = []string{"AWS_CONFIG_FILE=" + filepath.Join(d.Path(), ConfigFile)}
		}
		input, err := startCat(command)
		if err == nil {
			err = d.Remove()
		}
		if err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadDir(d.Path())
		if stays := err == nil; stays != want || len(left) > 0 {
			t.Errorf("%+v; it stays: %v, with %v", tt, stays, left)
		}
		if want {
			wantMode(t, d.Path(), 0o700)
		}
		input.Close()
		command.Wait()
		Sweep([]string{b.path})
		if left := names(t, filepath.Dir(d.Path())); len(left) > 0 {
			t.Errorf("used by nobody: %v stays", left)
		}
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	d, _ := filled(t)
	command := exec.Command("cat") // lives until its input ends
	command.Env = []string{"AWS_CONFIG_FILE=" + filepath.Join(d.Path(), ConfigFile)}
	input, err := startCat(command)
	if err != nil {
		t.Fatal(err)
	}
	pid := command.Process.Pid
	if got, want := fmt.Sprint(d.Users(0, 0)), fmt.Sprintf("[%d (cat)]", pid); got != want {
		t.Errorf("Users = %s, want %s", got, want)
	}
	for first, want := range map[int]bool{pid: false, pid - 1: true} { // which it has, and no other one has since
		if got := d.Users(first, 0); (got != nil) != want {
			t.Errorf("above %d: %q", first, got)
		}
	}
	input.Close()
	command.Wait()
	if got := d.Users(0, 0); got != nil {
		t.Errorf("after its end: %q", got)
	}
}

// The ids of processes wrap around: what is left behind may have a lower one than the
// command.
func TestLookAbove(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		first, last int
		ago         time.Duration
		want        int
	}{
		{"short", 4711, 4720, time.Second / 2, 4711},
		{"short, and wrapped around", 32000, 301, time.Second / 2, 0},
		{"long", 4711, 4720, time.Minute, 0},
		{"unknown", 4711, 0, 0, 0},
	} {
		if got := lookAbove(tt.first, tt.last, tt.ago); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	if last := lastPID(); last <= 0 {
		t.Errorf("lastPID = %d", last)
	}
}

// Ids are tried one by one where there are few, and are those of the same processes.
func TestProcesses(t *testing.T) {
	t.Parallel()
	self := os.Getpid()
	for _, tt := range []struct {
		name        string
		above, last int
		want        []string // nil: those that /proc lists
	}{
		{"none", self, self, []string{}},
		{"two", 4711, 4713, []string{"4712", "4713"}},
		{"all", 0, self, nil},
		{"many", self - fewProcesses - 1, self, nil},
		{"it is not known which is the last", self - 1, 0, nil},
	} {
		got := processes(tt.above, tt.last)
		if tt.want != nil && !slices.Equal(got, tt.want) || tt.want == nil && !slices.Contains(got, strconv.Itoa(self)) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if got, want := isThread(task.Name()), task.Name() != strconv.Itoa(self); got != want {
			t.Errorf("%s is a thread: %v, want %v", task.Name(), got, want)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	d, _ := filled(t)
	path := filepath.Join(d.Path(), "state")
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		t.Fatal(err)
	}
	if st.Flags&unix.ST_NOATIME != 0 {
		t.Skip("the file system of the test keeps no access times")
	}
	for range 2 { // the next reading shows as well
		if at, ok := d.Read("state"); ok {
			t.Errorf("read at %v, by nobody", at)
		}
		before := time.Now().Add(-time.Second) // the kernel's clock has ticks
		read(t, path)
		if at, ok := d.Read("state"); !ok || at.Before(before) || at.After(time.Now()) {
			t.Errorf("Read = %v, %v, want it after %v", at, ok, before)
		}
	}
	if at, ok := d.Read("missing"); ok {
		t.Errorf("a file that is not there was read at %v", at)
	}
}

// TestStartListsNothing: a start takes as long where thousands of runs live, or others have
// thousands of files. That a directory was listed shows in its access time.
func TestStartListsNothing(t *testing.T) {
	t.Parallel()
	sticky, in := inSticky(t)
	plain := base{path: openBase(t)}
	var dirs []string
	for _, dir := range []string{sticky.path, in.path, plain.path} {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			t.Fatal(err)
		}
		if st.Flags&(unix.ST_NOATIME|unix.ST_NODIRATIME) == 0 {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		t.Skip("the file system of the test keeps no access times")
	}
	// No file system has a problem with that second, and each reading moves it (mount(8), relatime).
	unread := time.Unix(1e9, 0)
	read := func() (list []string) {
		for _, dir := range dirs {
			var st unix.Stat_t
			if err := unix.Stat(dir, &st); err != nil {
				t.Fatal(err)
			}
			if !time.Unix(st.Atim.Unix()).Equal(unread) {
				list = append(list, dir)
			}
			if err := os.Chtimes(dir, unread, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		return list
	}
	read()
	for _, b := range []base{sticky, plain} {
		d, err := makeIn([]base{b}, func(d *Dir) error { return d.Put(ConfigFile, nil) })
		if err == nil {
			err = d.Put("state", nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Recover(); err != nil {
			t.Error(err)
		}
		if err := d.Remove(); err != nil {
			t.Error(err)
		}
	}
	if list := read(); list != nil {
		t.Errorf("listed: %q", list)
	}
	Sweep([]string{sticky.path, plain.path})
	if list := read(); len(list) != len(dirs) {
		t.Errorf("a sweep lists %q, and the test would not see it", list)
	}
}
