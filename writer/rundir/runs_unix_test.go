//go:build unix

package rundir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestRuns(t *testing.T) {
	t.Parallel()
	dir := openBase(t)
	bases := []base{{path: dir}, {path: filepath.Join(dir, "missing")}, {path: dir}}
	if runs := runsIn(bases); runs != nil {
		t.Errorf("runs in an empty directory: %+v", runs)
	}
	d, err := makeIn(bases, noFill)
	if err != nil {
		t.Fatal(err)
	}
	want := []Run{{PID: os.Getpid(), Dir: d.path}}
	if diff := cmp.Diff(want, runsIn(bases)); diff != "" {
		t.Errorf("without a status (-want +got):\n%s", diff)
	}
	for _, text := range []string{"one", "another\n"} {
		if err := d.Put(StatusFile, []byte(text)); err != nil {
			t.Fatal(err)
		}
		want[0].Status = []byte(text)
		if diff := cmp.Diff(want, runsIn(bases)); diff != "" {
			t.Errorf("with a status (-want +got):\n%s", diff)
		}
		info, err := os.Stat(filepath.Join(d.path, StatusFile))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the status file: %v, %v", info, err)
		}
	}

	// A status that cannot be read costs no more than itself.
	other, err := makeIn(bases, noFill)
	if err != nil {
		t.Fatal(err)
	}
	status := filepath.Join(other.path, StatusFile)
	for name, spoil := range map[string]func() error{
		"a pipe":      func() error { return unix.Mkfifo(status, 0o600) },
		"too large":   func() error { return errors.Join(os.WriteFile(status, nil, 0o600), os.Truncate(status, 1<<40)) },
		"a directory": func() error { return os.Mkdir(status, 0o700) },
		"a link out":  func() error { return os.Symlink("/dev/zero", status) },
	} {
		if err := errors.Join(os.RemoveAll(status), spoil()); err != nil {
			t.Fatal(err)
		}
		got := runsIn(bases)
		if len(got) != 2 || string(got[0].Status)+string(got[1].Status) != "another\n" {
			t.Errorf("with %s: %+v", name, got)
		}
	}
	if err := other.Remove(); err != nil {
		t.Fatal(err)
	}

	// One that others could change.
	if err := os.Chmod(d.path, 0o755); err != nil {
		t.Fatal(err)
	}
	if runs := runsIn(bases); runs != nil {
		t.Errorf("open to others: %+v", runs)
	}
	if err := os.Chmod(d.path, 0o700); err != nil {
		t.Fatal(err)
	}

	// What only looks like one, or was left behind.
	for _, name := range []string{"brs-exec-1-0123456789abcdef", "brs-exec-2-0123456789abcdeg"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, lockedFile), []byte("999999999 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, runsIn(bases)); diff != "" {
		t.Errorf("beside others (-want +got):\n%s", diff)
	}
	if err := d.Remove(); err != nil {
		t.Fatal(err)
	}
	if runs := runsIn(bases); runs != nil {
		t.Errorf("after the end: %+v", runs)
	}
}
