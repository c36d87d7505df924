//go:build unix

package events

import (
	"bufio"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRefused: what lines may not be added to, without waiting and without harm.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := syscall.Mkfifo(path("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path("file"), path("other")); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	readOnly, err := unix.FcntlInt(r.Fd(), unix.F_DUPFD, 0) // as if we were started with it
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(readOnly)
	for _, tt := range []struct {
		to   Target
		want string
	}{
		{Target{File: path("fifo")}, "not a regular file"},
		{Target{File: dir}, "not a regular file"},
		{Target{File: path("file")}, "it has 2 names"},
		{Target{File: path("no/file")}, "no such file"},
		{Target{FD: 999}, "is not open"},
		{Target{FD: int(w.Fd())}, "is not open"}, // it is of our own
		{Target{FD: readOnly}, "cannot be written to"},
	} {
		if _, err := Open(Options{To: tt.to}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.to, err, tt.want)
		}
	}
	if text, _ := os.ReadFile(path("file")); string(text) != "x" {
		t.Errorf("the file holds %q", text)
	}
}

// TestDescriptor: one that we were started with is ours alone, and its number stays taken.
func TestDescriptor(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	given, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD, 3)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	defer unix.Close(given)
	e, err := Open(Options{To: Target{FD: given}, Run: "r"})
	if err != nil {
		t.Fatal(err)
	}
	if flags, err := unix.FcntlInt(uintptr(given), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the number: flags %#x, %v", flags, err)
	}
	e.NotStale("p")
	e.Close() // and nobody else has the pipe
	lines := bufio.NewScanner(r)
	n := 0
	for lines.Scan() {
		valid(t, lines.Text())
		n++
	}
	if n != 1 || lines.Err() != nil {
		t.Errorf("%d lines, %v", n, lines.Err())
	}
}

// TestSocketOfAnother: where all users make files one of them is not told what happens.
func TestSocketOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: needs root, to make what another user could have made")
	}
	dir, err := os.MkdirTemp("", "") // a short path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct {
		mode fs.FileMode
		uid  int
		told bool
	}{
		{0o777 | fs.ModeSticky, 12345, false},
		{0o777 | fs.ModeSticky, 0, true},
		{0o777, 12345, true}, // a volume of a pod
		{0o755, 12345, true},
	} {
		if err := errors.Join(os.Chmod(dir, tt.mode), os.Lchown(path, tt.uid, tt.uid)); err != nil {
			t.Fatal(err)
		}
		s := socket{path: path}
		n, err := s.write([]byte("line\n"))
		s.close()
		if told := err == nil && n == 5; told != tt.told {
			t.Errorf("of user %d in a directory of mode %v: %d bytes, %v", tt.uid, tt.mode, n, err)
		}
	}
}
