package source

import (
	"os"
	"runtime"
	"testing"
)

// TestLeaveDir: relative paths are those of the directory where the source was made, also
// after the process has left it.
func TestLeaveDir(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the root has a letter")
	}
	isolate(t)
	t.Chdir(t.TempDir())
	write(t, "credentials", keysINI("default", "ASIA11", ""))
	src := mustNew(t, Spec{File: "credentials"})
	left := make(chan struct{})
	src.LeaveDir(left)
	for _, dir := range []string{"", "/"} {
		if dir != "" {
			t.Chdir(dir)
			close(left)
		}
		before, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		c, err := src.Retrieve(t.Context())
		if err != nil || c.AccessKeyID != "ASIA11" {
			t.Errorf("in %s: got %s, %v", before, c.AccessKeyID, err)
		}
		if after, err := os.Getwd(); err != nil || after != before {
			t.Errorf("was in %s, is in %s (%v)", before, after, err)
		}
	}
}
