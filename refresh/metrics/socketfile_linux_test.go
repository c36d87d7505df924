package metrics

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSocketFileOfOthers: another user's link is not followed, and their socket stays.
func TestSocketFileOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes what another user could have made")
	}
	dir, err := os.MkdirTemp("", "") // a short path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	theirs, ours := filepath.Join(dir, "theirs"), filepath.Join(dir, "ours")
	for _, d := range []string{theirs, ours} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(theirs, "link")
	if err := os.Symlink(ours, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(link, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(Address{"unix", filepath.Join(theirs, "s")}, New(Options{}), wellAlive)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(theirs, "s"), 12345, 12345); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(link, "s"):   "is a symbolic link of user 12345's",
		filepath.Join(theirs, "s"): "there is a socket of user 12345's",
	} {
		if _, err := Listen(Address{"unix", path}, New(Options{}), wellAlive); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	parent, err := os.OpenRoot(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	// What they have put in the place of the directory that a socket is made in.
	for name, mode := range map[string]os.FileMode{"open": 0o755, "full": 0o700} {
		if err := os.Mkdir(filepath.Join(theirs, name), mode); err != nil {
			t.Fatal(err)
		}
		inside := filepath.Join(theirs, name, tempSocket)
		if err := os.WriteFile(inside, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := bindIn(parent, name); err == nil {
			t.Errorf("a socket is made in %s", name)
		}
		if info, err := os.Stat(inside); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", inside, info, err)
		}
	}
	l.Close()
	if left, _ := os.ReadDir(ours); len(left) > 0 {
		t.Errorf("made where the link leads: %v", left)
	}
}
