//go:build unix

package clients

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestPipes gives pipes, which nobody writes to, in place of files: to open one
// would not return.
func TestPipes(t *testing.T) {
	root := tree{"bin/sh*": native, "bin/python3.11*": native, "bin/node*": native, "bin/java*": native, "bin/ruby*": native}.make(t)
	pipe := filepath.Join(root, "pipe")
	if err := syscall.Mkfifo(pipe, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{{pipe}, {"sh", pipe}, {"python3.11", pipe}, {"node", pipe}, {"java", "-jar", pipe}, {"ruby", pipe}} {
		if r := Look(argv, []string{"PATH=" + root + "/bin"}, root); len(r.Clients) > 0 {
			t.Errorf("Look(%q) found %v", argv, r.Clients)
		}
	}
}
