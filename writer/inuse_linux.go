package writer

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// inUse tells whether a process that we may look at was given the run
// directory in its environment: the command of a brs-exec that was killed
// lives on, and so do the credentials that it was given.
func inUse(dir string) bool {
	names, _ := readNames("/proc")
	needle := []byte("=" + filepath.Join(dir, configFile) + "\x00")
	for _, name := range names {
		if strings.Trim(name, "0123456789") != "" {
			continue
		}
		if data, err := os.ReadFile("/proc/" + name + "/environ"); err == nil && bytes.Contains(data, needle) {
			return true
		}
	}
	return false
}
