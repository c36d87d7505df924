package runlock

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestHeld(t *testing.T) {
	if _, err := os.Stat("/proc/locks"); err != nil {
		t.Skip("the kernel tells of no locks here: ", err)
	}
	for _, name := range []string{fmt.Sprintf("test-held-%d", os.Getpid()), filepath.Join(t.TempDir(), "lock")} {
		if Held(name) {
			t.Errorf("%s is held before it is there", name)
		}
		f, err := Take(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range f.(files) {
			defer os.Remove(f.Name())
		}
		if !Held(name) {
			t.Errorf("%s is not held", name)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if Held(name) {
			t.Errorf("%s is held although it was let go", name)
		}
	}
}
