//go:build unix

package runlock

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/writer/filelock"
)

// takes is the name of a lock that the test binary takes, in place of running tests,
// and holds until its standard input ends.
const takes = "RUNLOCK_TEST_TAKES"

func TestMain(m *testing.M) {
	if name := os.Getenv(takes); name != "" {
		_, err := Take(name)
		fmt.Println("lock:", err)
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// taker starts a process that takes a lock, and returns what it says of that.
func taker(t *testing.T, name string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), takes+"="+name)
	if _, err := cmd.StdinPipe(); err != nil { // ends with us, at the latest
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd, said
}

func TestLock(t *testing.T) {
	t.Parallel()
	name := fmt.Sprintf("test-%d", os.Getpid())
	for _, name := range []string{name, filepath.Join(t.TempDir(), "lock")} {
		other, said := taker(t, name)
		if said != "lock: <nil>\n" {
			t.Errorf("%s: %s", name, said)
		}
		if _, err := Take(name); !errors.Is(err, filelock.ErrLocked) {
			t.Errorf("second lock of %s: %v, want %v", name, err, filelock.ErrLocked)
		}
		other.Process.Kill()
		other.Wait()
		f, err := Take(name)
		if err != nil {
			t.Fatalf("lock of one that died: %v", err)
		}
		defer f.Close()
		for _, f := range f.(files) {
			defer os.Remove(f.Name())
			// a child would hold it
			if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("flags = %x, %v, want close-on-exec", flags, err)
			}
			if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode = %v, %v", info.Mode(), err)
			}
		}
	}
	for _, name := range []string{"", ".", "..", "/no/such/dir/lock"} {
		if _, err := Take(name); err == nil {
			t.Errorf("Take(%q) succeeds", name)
		}
	}
	if err := private(filepath.Join(t.TempDir(), "..")); err != nil {
		t.Errorf("private: %v", err)
	}
	if err := os.Chmod(t.TempDir(), 0o777); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	os.Chmod(dir, 0o777)
	if err := private(dir); err == nil {
		t.Error("a directory that all can write to is taken for private")
	}
}

// TestLockNameIsTaken: another user has the directory's name in the first of the
// places while one run locks, and not when the next one does.
func TestLockNameIsTaken(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, to be another user")
	}
	first, second := t.TempDir(), t.TempDir()
	was := lockParents
	lockParents = []string{filepath.Join(first, "missing"), first, second}
	t.Cleanup(func() { lockParents = was })
	taken := filepath.Join(first, fmt.Sprintf("brs-exec-%d", os.Getuid()))
	if err := errors.Join(os.Mkdir(taken, 0o755), os.Chown(taken, 1234, 1234)); err != nil {
		t.Fatal(err)
	}
	held, err := Take("job")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(taken); err != nil {
		t.Fatal(err)
	}
	if _, err := Take("job"); !errors.Is(err, filelock.ErrLocked) {
		t.Errorf("a second one = %v, want %v", err, filelock.ErrLocked)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Take("job")
	if places, _ := again.(files); err != nil || len(places) != 2 {
		t.Fatalf("after the first has ended: %d, %v, want both places", len(places), err)
	}
	again.Close()
}
