//go:build unix

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	// lock takes a lock and runs a command that outlives it.
	register("lock", func(args []string) {
		_, err := Lock(args[0])
		fmt.Println("lock:", err)
		os.Stdin.Read(make([]byte, 1))
	})
}

func TestLock(t *testing.T) {
	t.Parallel()
	name := fmt.Sprintf("test-%d", os.Getpid())
	for _, name := range []string{name, filepath.Join(t.TempDir(), "lock")} {
		p := start(t, command(t, helper(t, "lock", name)...))
		p.expect("lock: <nil>")
		if _, err := Lock(name); !errors.Is(err, ErrLocked) {
			t.Errorf("second lock of %s: %v, want %v", name, err, ErrLocked)
		}
		p.signal(unix.SIGKILL)
		p.status()
		f, err := Lock(name)
		if err != nil {
			t.Fatalf("lock of one that died: %v", err)
		}
		defer f.Close()
		for _, f := range f {
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
		if _, err := Lock(name); err == nil {
			t.Errorf("Lock(%q) succeeds", name)
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
	held, err := Lock("job")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(taken); err != nil {
		t.Fatal(err)
	}
	if _, err := Lock("job"); !errors.Is(err, ErrLocked) {
		t.Errorf("a second one = %v, want %v", err, ErrLocked)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Lock("job")
	if err != nil || len(again) != 2 {
		t.Errorf("after the first has ended: %d, %v, want both places", len(again), err)
	}
	again.Close()
}
