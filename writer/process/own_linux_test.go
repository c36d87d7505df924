package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stateIn makes a run directory with credentials in it.
func stateIn(t *testing.T, dir string) string {
	t.Helper()
	set := Credentials{AccessKeyID: "AKID", SecretAccessKey: "s"}
	err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, StateFile), set.State(), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestOutputOfOthers: a directory or a state that is not what we made is refused
// at once, whatever it does to who reads it.
func TestOutputOfOthers(t *testing.T) {
	t.Parallel()
	const other = 123456
	for _, tt := range []struct {
		name  string
		spoil func(dir string) error
		root  bool
		want  string // "" if it is believed
	}{
		{"ours", func(string) error { return nil }, false, ""},
		{"a pipe", func(dir string) error {
			return errors.Join(os.Remove(dir+"/state"), unix.Mkfifo(dir+"/state", 0o600))
		}, false, "not a regular file"},
		{"a link out", func(dir string) error {
			return errors.Join(os.Remove(dir+"/state"), os.Symlink("/dev/zero", dir+"/state"))
		}, false, "read credentials: "},
		{"too large", func(dir string) error { return os.Truncate(dir+"/state", 1<<40) }, false, "too large"},
		{"a link to the directory", func(dir string) error {
			return errors.Join(os.Rename(dir, dir+"x"), os.Symlink(dir+"x", dir))
		}, false, "is a link"},
		{"another's file", func(dir string) error { return os.Chown(dir+"/state", other, other) }, true, "another user's"},
		{"another's directory, where they could have made it", func(dir string) error {
			return errors.Join(os.Chown(dir, other, other), os.Chown(dir+"/state", other, other))
		}, true, fmt.Sprintf("owned by uid %d, not by us", other)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.root && os.Geteuid() != 0 {
				t.Skip("NOT TESTED: needs root, to make another user's files")
			}
			dir := stateIn(t, filepath.Join(t.TempDir(), fmt.Sprintf("brs-exec-%d", os.Geteuid()), "brs-exec-1-0123456789abcdef"))
			if err := tt.spoil(dir); err != nil {
				t.Fatal(err)
			}
			line, err := Output(dir, time.Now())
			if tt.want == "" {
				if err != nil || !strings.Contains(string(line), "AKID") {
					t.Errorf("Output = %s, %v", line, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Output = %s, %v, want an error with %q", line, err, tt.want)
			}
		})
	}
}

// TestOutputToRoot: root may be led to another user's run directory, by sudo -E
// or because it is mounted into a container, but not where somebody else took the
// place of its owner.
func TestOutputToRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: needs root, to read another user's files")
	}
	for _, tt := range []struct {
		in    string
		owner int
		ok    bool
	}{
		{"user/1000", 1000, true}, {"brs-exec-1000", 1000, true}, {"brs-exec-1000-0123456789abcdef", 1000, true},
		{"brs-exec-0", 0, true}, {"brs-exec-0", 1000, false}, {"brs-exec-1000", 1001, false}, {"brs-exec-1000", 0, true},
	} {
		dir := stateIn(t, filepath.Join(t.TempDir(), tt.in, "brs-exec-1-0123456789abcdef"))
		for _, path := range []string{dir, filepath.Join(dir, StateFile)} {
			if err := os.Chown(path, tt.owner, tt.owner); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Output(dir, time.Now()); (err == nil) != tt.ok {
			t.Errorf("below %s, of uid %d: %v, want it read: %v", tt.in, tt.owner, err, tt.ok)
		}
	}
}
