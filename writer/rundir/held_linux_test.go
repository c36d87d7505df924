//go:build !brs_osroot

package rundir

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// hold takes a directory that was just made, and nothing else.
func TestHold(t *testing.T) {
	t.Parallel()
	dir := openBase(t)
	for name, make := range map[string]func(path string) error{
		"link":    func(path string) error { return os.Symlink(openBase(t), path) },
		"file":    func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"pipe":    func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"nothing": func(string) error { return nil },
		"directory": func(path string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, 0o750|os.ModeSetgid))
		},
	} {
		path := filepath.Join(dir, name)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		h, err := hold(path)
		if (err == nil) != (name == "directory") {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if info, err := os.Stat(path); err != nil || info.Mode() != os.ModeDir|0o700 {
				t.Errorf("mode = %v, %v", info.Mode(), err)
			}
			h.close()
		}
	}
}
