package pathsafe

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"brs-exec.example/brs-exec/writer/writertest"
)

// TestOpenOwn: what another user could have made, or could write to, is refused at
// once, and not opened where that does something.
func TestOpenOwn(t *testing.T) {
	writertest.NeedRoot(t)
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := OpenOwn(root, "missing", os.O_RDONLY, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	f, err := CreateOwn(root, "ours")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	writertest.WantMode(t, filepath.Join(dir, "ours"), FileMode)
	if f, err = OpenOwn(root, "ours", os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := OpenOwn(root, "ours", os.O_RDWR, writertest.Alice); !errors.As(err, new(*NotOwnError)) {
		t.Errorf("for another user: %v", err)
	}
	if _, err := CreateOwn(root, "ours"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("CreateOwn of what is there: %v", err)
	}
	for kind, plant := range writertest.Plants {
		if kind == "endless" { // which ReadAll refuses
			continue
		}
		path := filepath.Join(dir, kind)
		if err := plant(path, "x"); err != nil {
			t.Fatal(err)
		}
		if f, err := OpenOwn(root, kind, os.O_RDWR, 0); !errors.As(err, new(*NotOwnError)) {
			t.Errorf("%s: %v, %v", kind, f, err)
		}
		os.Remove(filepath.Join(dir, "other"))
	}
}

func TestCoversAll(t *testing.T) {
	for _, tt := range []struct {
		users string
		want  bool
	}{
		{"         0          0 4294967295\n", true},
		{"     65534          0          1\n", false},
		{"         0       1000          1\n         1     100000      65536\n", false},
		{"         0          0       1000\n      1000       1000 4294966295\n", true},
		{"", false},
	} {
		if got := coversAll([]byte(tt.users)); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.users, got, tt.want)
		}
	}
}

// TestLinksWhereAllMakeFiles: a link that another user has made in a directory like /tmp leads
// nowhere, also not to where that user may have us write; elsewhere it does.
func TestLinksWhereAllMakeFiles(t *testing.T) {
	writertest.NeedRoot(t)
	dir := t.TempDir()
	theirs := filepath.Join(dir, "theirs")
	if err := errors.Join(os.Mkdir(theirs, 0o755), os.Chown(theirs, writertest.Alice, 0)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		mode     fs.FileMode
		owner    int // of the directory
		link     int
		followed bool
	}{
		{"sticky", 0o777 | fs.ModeSticky, 0, writertest.Alice, false},
		{"of-its-owner", 0o777 | fs.ModeSticky, writertest.Alice, writertest.Alice, true},
		{"ours", 0o777 | fs.ModeSticky, 0, 0, true},
		{"of-a-group", 0o775 | fs.ModeSticky, 0, writertest.Alice, true},
		{"elsewhere", 0o755, 0, writertest.Alice, true},
	} {
		in := filepath.Join(dir, tt.name)
		link := filepath.Join(in, "link")
		for _, err := range []error{os.Mkdir(in, 0o700), os.Symlink(filepath.Join(theirs, "f"), link), os.Lchown(link, tt.link, 0), os.Chown(in, tt.owner, 0), os.Chmod(in, tt.mode)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Resolve(link); (err == nil) != tt.followed || err != nil && !errors.As(err, new(*LinkError)) {
			t.Errorf("%s: %v, want it followed: %v", tt.name, err, tt.followed)
		}
	}
}
