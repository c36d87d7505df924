package writer

import (
	"bytes"
	"os"
	"path/filepath"
)

// inUse tells whether a process that we may look at was given the run
// directory in its environment: the command of a brs-exec that was killed
// lives on, and so do the credentials that it was given.
func inUse(dir string) bool {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	needle := []byte("=" + filepath.Join(dir, configFile) + "\x00")
	for _, path := range environs {
		if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, needle) {
			return true
		}
	}
	return false
}
