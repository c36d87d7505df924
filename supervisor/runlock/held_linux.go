package runlock

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Held tells whether somebody holds the lock of that name. It makes nothing, and
// takes no lock, not even for a moment: a run that starts meanwhile would end.
func Held(name string) bool {
	paths := []string{name}
	if !strings.ContainsRune(name, filepath.Separator) {
		paths = nil
		for _, parent := range append(lockParents, os.TempDir()) {
			paths = append(paths, filepath.Join(parent, fmt.Sprintf("brs-exec-%d", os.Getuid()), name+".lock"))
		}
	}
	for _, path := range paths {
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil && flocked(fmt.Sprintf("%02x:%02x:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)), st.Ino)) {
			return true
		}
	}
	return false
}

// flocked looks for a file among the kernel's list of locks.
func flocked(file string) bool {
	f, err := os.Open("/proc/locks")
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// 1: FLOCK  ADVISORY  WRITE 4711 00:1a:1234 0 EOF
		if words := strings.Fields(lines.Text()); len(words) > 5 && words[1] == "FLOCK" && words[5] == file {
			return true
		}
	}
	return false
}
