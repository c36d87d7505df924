package pathsafe

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestResolve: what a path leads to, the last component also if it is not there.
func TestResolve(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "real", "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"link": "real", "chain": "link", "deep": "real/sub", "loop": "loop", "file": filepath.Join("real", "f")} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Skipf("no symbolic links: %v", err)
		}
	}
	for _, tt := range []struct{ path, want, err string }{
		{"real/f", "real/f", ""},
		{"real//./f", "real/f", ""},
		{"link/f", "real/f", ""},
		{"chain/f", "real/f", ""},
		{"file", "real/f", ""},
		{"deep/../f", "real/f", ""}, // as the kernel goes up: from where the link has led
		{"real/sub", "real/sub", ""},
		{"missing/f", "", "no such file"},
		{"loop/f", "", "too many"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			got, err := Resolve(root + string(filepath.Separator) + filepath.FromSlash(tt.path))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("Resolve = %v, want an error with %q", err, tt.err)
				}
				return
			}
			if err != nil || got.Path != filepath.Join(root, tt.want) {
				t.Fatalf("Resolve = %+v, %v, want %s", got, err, tt.want)
			}
			if info, err := os.Stat(filepath.Dir(got.Path)); err != nil || !os.SameFile(info, got.Info) {
				t.Errorf("the directory is another one: %v", err)
			}
		})
	}
}

// TestOpen: a directory that came to be another one since is not opened.
func TestOpen(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p, opened, err := Open(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	opened.Close()
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.open(); !errors.Is(err, errMoved) {
		t.Errorf("of a directory that is gone = %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := p.open(); !errors.Is(err, errMoved) {
		t.Errorf("of another directory = %v", err)
	}
}

func TestReadAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, make([]byte, maxFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadFile(path); err != nil || len(data) != maxFile {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if err := os.Truncate(path, maxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), "longer than 16 MiB") {
		t.Errorf("of a longer one: %v", err)
	}
	if _, err := ReadFile(filepath.Dir(path)); !errors.Is(err, ErrNotRegular) {
		t.Errorf("of a directory: %v", err)
	}
	if _, err := ReadFile(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
}

// TestPut: readers see one content or the other, and an error leaves nothing behind.
func TestPut(t *testing.T) {
	dir, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	var refused error
	put := func(text string) error {
		return Put(dir, "temp", "name", []byte(text), func(*os.File) error { return refused })
	}
	if err := put("old"); err != nil {
		t.Fatal(err)
	}
	refused = errors.New("not now")
	if err := put("new"); !errors.Is(err, refused) {
		t.Errorf("%v", err)
	}
	if text, err := dir.ReadFile("name"); string(text) != "old" {
		t.Errorf("%q, %v", text, err)
	}
	if names, err := Names(dir); len(names) != 1 {
		t.Errorf("%q are left, %v", names, err)
	}
	refused = nil
	if err := dir.WriteFile("temp", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := put("new"); !errors.Is(err, os.ErrExist) {
		t.Errorf("over another file: %v", err)
	}
}
