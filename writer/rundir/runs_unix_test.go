//go:build unix

package rundir

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	want := []Run{{PID: os.Getpid(), UID: os.Geteuid(), Dir: d.path}}
	if diff := cmp.Diff(want, runsIn(bases)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
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
