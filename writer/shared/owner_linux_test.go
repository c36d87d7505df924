package shared

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/writer/replace"
	"brs-exec.example/brs-exec/writer/writertest"
)

// TestActsAsOwner: in another user's directory root does what that user may do,
// and its files are that user's.
func TestActsAsOwner(t *testing.T) {
	writertest.NeedRoot(t)
	root := t.TempDir()
	writertest.Mkdirs(t, root, map[string]int{"alice": writertest.Alice})
	path := filepath.Join(root, "alice", "credentials")
	made := filepath.Join(root, "alice", ".aws", "credentials") // in a directory that is missing
	if err := mustShared(t, made, "app", Options{}).Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	writertest.WantOwner(t, filepath.Dir(made), writertest.Alice, writertest.Alice)
	if err := os.Remove(filepath.Dir(made)); err != nil {
		t.Fatal(err)
	}
	s := mustShared(t, path, "app", Options{AtExit: Restore})
	if err := give(s, numbered(7)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 {
		t.Errorf("%d files, %v, want the file and the claim", len(entries), err)
	}
	for _, e := range entries {
		writertest.WantOwner(t, filepath.Join(root, "alice", e.Name()), writertest.Alice, writertest.Alice)
		wantMode(t, filepath.Join(root, "alice", e.Name()), 0o600)
	}
	if uid, _ := unix.SetfsuidRetUid(-1); uid != 0 {
		t.Errorf("this thread acts as user %d now", uid)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Dir(path), map[string]string{})

	if _, err := newShared(t, path, "app", Options{Owner: &replace.Owner{UID: writertest.Mallory, GID: -1}}); err == nil || !strings.Contains(err.Error(), "is made") {
		t.Errorf("a file for mallory in alice's directory = %v", err)
	}
	inGroup(t, 4242)
	put(t, path, "", 0o660)
	if err := os.Chown(path, 0, 4242); err != nil {
		t.Fatal(err)
	}
	if _, err := newShared(t, path, "app", Options{}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "as user 20000001") {
		t.Errorf("a file that writertest.Alice may not read = %v", err)
	}
	if err := errors.Join(os.Remove(path), os.Chmod(filepath.Dir(path), 0o500)); err != nil {
		t.Fatal(err)
	}
	if _, err := newShared(t, path, "app", Options{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a directory that writertest.Alice may not write to = %v", err)
	}
}

// TestSharedDirectoryChangesHands: what was root's directory at the start is not
// followed to another user's.
func TestSharedDirectoryChangesHands(t *testing.T) {
	writertest.NeedRoot(t)
	root := t.TempDir()
	writertest.Mkdirs(t, root, map[string]int{"d": 0})
	dir := filepath.Join(root, "d")
	s := mustShared(t, filepath.Join(dir, "credentials"), "app", Options{})
	if err := give(s, numbered(1)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, writertest.Mallory, writertest.Mallory); err != nil {
		t.Fatal(err)
	}
	if err := give(s, numbered(2)); err == nil || !strings.Contains(err.Error(), "is user 20000002's now") {
		t.Errorf("Deliver = %v", err)
	}
}

// TestPlantedClaims: a name of a claim that another user took is an error, and
// nothing is written to what it leads to.
func TestPlantedClaims(t *testing.T) {
	writertest.NeedRoot(t)
	key := "-----BEGIN OPENSSH PRIVATE KEY-----\n" + strings.Repeat("x", 200)
	for kind, make := range writertest.Plants {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "credentials")
			put(t, path, "", 0o600)
			name := filepath.Join(dir, claimPrefix(path)+"0123456789abcdef")
			if err := make(name, key); err != nil {
				t.Fatal(err)
			}
			_, err := newShared(t, path, "app", Options{})
			if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "remove it") && kind != "endless" {
				t.Errorf("Open = %v, want an error that names it", err)
			}
			for _, f := range []string{name, filepath.Join(dir, "other")} {
				if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() && info.Size() < 1000 {
					if got, err := os.ReadFile(f); err != nil || string(got) != key {
						t.Errorf("%s was written to: %q, %v", f, got, err)
					}
				}
			}
		})
	}
	t.Run("a file of ours", func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "credentials")
		name := filepath.Join(dir, claimPrefix(path)+"0123456789abcdef")
		put(t, name, key, 0o600)
		if _, err := newShared(t, path, "app", Options{}); err == nil || !strings.Contains(err.Error(), "not a claim") {
			t.Errorf("Open = %v", err)
		}
		holds(t, dir, map[string]string{filepath.Base(name): key})
	})
}

// TestClaimOfAnotherUser: two users may keep a section each of one file, and not the
// same one.
func TestClaimOfAnotherUser(t *testing.T) {
	writertest.NeedRoot(t)
	for _, tt := range []struct {
		theirs, ours string
		refused      bool
	}{
		{"a", "b", false}, {"a", "a", true}, {"a", "b,c", false}, {"a", "b,a", true}, {"a,b", "c", true}, // which may not be read
	} {
		t.Run(tt.theirs+" "+tt.ours, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "credentials")
			mustShared(t, path, "", Options{Sections: sectionsOf(tt.theirs)})
			for _, name := range claimsIn(t, path) {
				if err := os.Chown(name, writertest.Mallory, writertest.Mallory); err != nil {
					t.Fatal(err)
				}
			}
			s, err := newShared(t, path, "", Options{Sections: sectionsOf(tt.ours)})
			if (err != nil) != tt.refused || err != nil && !strings.Contains(err.Error(), "remove it if no brs-exec of that user runs") {
				t.Errorf("Open = %v, want it refused: %v", err, tt.refused)
			}
			if s != nil {
				if err := s.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}
			if got := claimsIn(t, path); len(got) != 1 {
				t.Errorf("claims: %q, want that of the other user", got)
			}
		})
	}
}

// inGroup has this process be in a group besides its own.
func inGroup(t *testing.T, gid int) {
	t.Helper()
	were, err := os.Getgroups()
	if err == nil {
		err = syscall.Setgroups(append(were, gid))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Setgroups(were) })
}
