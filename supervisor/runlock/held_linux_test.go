package runlock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"brs-exec.example/brs-exec/writer/filelock"
)

func TestCheck(t *testing.T) {
	if _, err := os.Stat("/proc/locks"); err != nil {
		t.Skip("the kernel tells of no locks here: ", err)
	}
	for _, name := range []string{fmt.Sprintf("test-held-%d", os.Getpid()), filepath.Join(t.TempDir(), "lock")} {
		if err := Check(name); err != nil {
			t.Errorf("before it is there: %v", err)
		}
		f, err := Take(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range f.(files) {
			defer os.Remove(f.Name())
		}
		err = Check(name)
		if want := fmt.Sprintf("lock %s: held by process %d (", name, os.Getpid()); !errors.Is(err, filelock.ErrLocked) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Check = %v, want %s…", err, want)
		}
		if _, again := Take(name); again == nil || again.Error() != err.Error() {
			t.Errorf("Take = %v, want %v", again, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := Check(name); err != nil {
			t.Errorf("although it was let go: %v", err)
		}
	}
	for _, name := range []string{"", ".", "..", "/no/such/dir/lock", t.TempDir()} {
		took, err := Take(name)
		if looked := Check(name); took != nil || looked == nil || looked.Error() != err.Error() {
			t.Errorf("Check(%q) = %v, Take says %v", name, looked, err)
		}
	}
}
