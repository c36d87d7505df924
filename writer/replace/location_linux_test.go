package replace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"brs-exec.example/brs-exec/writer/pathsafe"
	"brs-exec.example/brs-exec/writer/writertest"
)

// TestReplaceDirectoryExchanged: who owns the directory puts a link to another one
// in its place between the reading and the renaming. What is written is in the
// directory that was read from.
func TestReplaceDirectoryExchanged(t *testing.T) {
	root := t.TempDir()
	writertest.Mkdirs(t, root, map[string]int{"theirs": os.Getuid(), "ours": os.Getuid()})
	theirs, ours := filepath.Join(root, "theirs"), filepath.Join(root, "ours")
	put(t, filepath.Join(theirs, "credentials"), "theirs", 0o666)
	put(t, filepath.Join(ours, "credentials"), "ours", 0o600)
	calls := 0
	_, err := Replace(filepath.Join(theirs, "credentials"), 0o600, func(old []byte) ([]byte, error) {
		if calls++; calls == 1 {
			if err := errors.Join(os.Rename(theirs, filepath.Join(root, "moved")), os.Symlink("ours", theirs)); err != nil {
				t.Fatal(err)
			}
		}
		return append(old, " and keys"...), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, ours, map[string]string{"credentials": "ours"})
	wantMode(t, filepath.Join(ours, "credentials"), 0o600)
	holds(t, filepath.Join(root, "moved"), map[string]string{"credentials": "theirs and keys"})
}

// TestLinks: of another user's links only those are followed that lead to what is
// that user's.
func TestLinks(t *testing.T) {
	writertest.NeedRoot(t)
	root := t.TempDir()
	writertest.Mkdirs(t, root, map[string]int{"root": 0, "alice": writertest.Alice, "mallory": writertest.Mallory})
	for _, tt := range []struct {
		owner    int
		to       string
		followed bool
	}{
		{0, "root", true}, {0, "alice", true}, {0, "mallory", true},
		{writertest.Alice, "alice", true}, {writertest.Alice, "root", false}, {writertest.Alice, "mallory", false},
		{writertest.Mallory, "alice", false}, {writertest.Mallory, "root", false}, {writertest.Mallory, "mallory", true},
	} {
		for _, kind := range []string{"directory", "file", "missing file"} {
			t.Run(fmt.Sprintf("%s of %d to %s", kind, tt.owner, tt.to), func(t *testing.T) {
				link, file := filepath.Join(root, "link"), filepath.Join(root, tt.to, "f")
				text, path := tt.to, filepath.Join(link, "f")
				if kind != "directory" {
					text, path = tt.to+"/f", link
				}
				if err := errors.Join(os.Symlink(text, link), os.Lchown(link, tt.owner, tt.owner)); err != nil {
					t.Fatal(err)
				}
				defer os.Remove(link)
				defer os.Remove(file)
				if kind != "missing file" {
					put(t, file, "old", 0o600)
					info, err := os.Stat(filepath.Dir(file))
					if err != nil {
						t.Fatal(err)
					}
					if err := os.Chown(file, pathsafe.UID(info), pathsafe.UID(info)); err != nil {
						t.Fatal(err)
					}
				}
				_, err := Replace(path, 0o600, to("new"))
				if errors.As(err, new(*pathsafe.LinkError)) == tt.followed || tt.followed && err != nil {
					t.Errorf("Replace = %v, want it followed: %v", err, tt.followed)
				}
				got, err := os.ReadFile(file)
				switch {
				case tt.followed && string(got) != "new":
					t.Errorf("the file = %q, %v, want the new one", got, err)
				case !tt.followed && kind == "missing file" && !errors.Is(err, fs.ErrNotExist), !tt.followed && string(got) == "new":
					t.Errorf("the file = %q, %v, want it left alone", got, err)
				}
			})
		}
	}
}

// TestActsAsOwnerPanics: what goes wrong in there is the caller's to recover from.
func TestActsAsOwnerPanics(t *testing.T) {
	writertest.NeedRoot(t)
	root := t.TempDir()
	writertest.Mkdirs(t, root, map[string]int{"alice": writertest.Alice})
	var caught any
	func() {
		defer func() { caught = recover() }()
		Replace(filepath.Join(root, "alice", "f"), 0o600, func([]byte) ([]byte, error) { panic("boom") })
	}()
	if caught != "boom" {
		t.Errorf("caught %v", caught)
	}
	holds(t, filepath.Join(root, "alice"), map[string]string{})
}

// TestPlantedBackups: by what another user could have put beside the file, it is
// not changed.
func TestPlantedBackups(t *testing.T) {
	writertest.NeedRoot(t)
	// Half of one and half of the other: what a writer that was killed leaves.
	const mine, evil = "[app]\nregion = aaaa\n", "[app]\ncredential_process = evil\nx=z\n"
	for kind, make := range writertest.Plants {
		for _, which := range []string{backupSuffix, nextSuffix} {
			t.Run(kind+which, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "credentials")
				old := evil[:len(evil)-1] + "\n"
				next := mine + strings.Repeat("\n", len(evil)-len(mine))
				now := next[:len(next)-1] + old[len(old)-1:]
				put(t, path, now, 0o600)
				p := &Location{Path: path, name: "credentials"}
				backup := filepath.Join(dir, p.backupPrefix()+"0123456789abcdef"+backupSuffix)
				for _, f := range []struct{ path, text string }{{backup, old}, {nextOf(backup), string(nextFile([]byte(old), []byte(mine)))}} {
					if strings.HasSuffix(f.path, which) {
						if err := make(f.path, f.text); err != nil {
							t.Fatal(err)
						}
					} else {
						put(t, f.path, f.text, 0o600)
					}
				}
				if _, err := Replace(path, 0, func(old []byte) ([]byte, error) { return old, nil }); err != nil && kind != "endless" {
					t.Errorf("Replace = %v", err)
				}
				if got, err := os.ReadFile(path); err != nil || string(got) != now {
					t.Errorf("the file was changed: %q, %v", got, err)
				}
				if _, err := os.Lstat(filepath.Join(filepath.Dir(path), filepath.Base(backup))); err != nil {
					t.Errorf("what was there is gone: %v", err)
				}
			})
		}
	}
}

// TestPlantedSentinels: whatever has the sentinel's name, writing goes on or ends
// with an error, and nothing hangs.
func TestPlantedSentinels(t *testing.T) {
	writertest.NeedRoot(t)
	for kind, make := range writertest.Plants {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "credentials")
			put(t, path, "old", 0o600)
			if err := make(filepath.Join(dir, BesidePrefix("credentials")+"lock"), "x"); err != nil {
				t.Fatal(err)
			}
			if _, err := Replace(path, 0, to("new")); err != nil {
				t.Errorf("Replace = %v", err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != "new" {
				t.Errorf("the file = %q, %v", got, err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "other")); err == nil && string(got) != "x" {
				t.Errorf("what it leads to = %q", got)
			}
		})
	}
}

// TestFileIsPlanted: what is no file, or has no end, is an error at once.
func TestFileIsPlanted(t *testing.T) {
	writertest.NeedRoot(t)
	for _, kind := range []string{"link to a device", "device", "pipe", "endless"} {
		t.Run(kind, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "credentials")
			if err := writertest.Plants[kind](path, ""); err != nil {
				t.Fatal(err)
			}
			if _, err := Replace(path, 0, to("new")); err == nil {
				t.Error("Replace succeeded")
			}
		})
	}
}

// TestFileOfStranger: where all users can make files, one that is neither ours nor
// the owner's of the directory is not given the keys, unless that is asked for.
func TestFileOfStranger(t *testing.T) {
	writertest.NeedRoot(t)
	for _, tt := range []struct {
		name             string
		mode             fs.FileMode
		directory, owner int
		meant            *Owner
		refused          bool
	}{
		{"another user's", 0o777 | fs.ModeSticky, 0, writertest.Mallory, nil, true},
		{"another user's, for a group", 0o770 | fs.ModeSticky, 0, writertest.Mallory, nil, true},
		{"another user's, though a third one is meant", 0o777 | fs.ModeSticky, 0, writertest.Mallory, &Owner{UID: writertest.Alice, GID: -1}, true},
		{"another user's, as is meant", 0o777 | fs.ModeSticky, 0, writertest.Mallory, &Owner{UID: writertest.Mallory, GID: -1}, false},
		{"ours", 0o777 | fs.ModeSticky, 0, 0, nil, false},
		{"that of the directory's owner", 0o777 | fs.ModeSticky, writertest.Mallory, writertest.Mallory, nil, false},
		{"another user's, where root put it", 0o755, 0, writertest.Mallory, nil, false},
		{"another user's, in a volume", 0o777, 0, writertest.Mallory, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			writertest.Mkdirs(t, root, map[string]int{"d": tt.directory})
			dir := filepath.Join(root, "d")
			path := filepath.Join(dir, "f")
			put(t, path, "old", 0o666)
			if err := errors.Join(os.Chown(path, tt.owner, tt.owner), os.Chmod(dir, tt.mode)); err != nil {
				t.Fatal(err)
			}
			_, err := Target{Path: path, Perm: 0o600, Owner: tt.meant}.Replace(t.Context(), to("new"))
			want := map[bool]string{true: "old", false: "new"}[tt.refused]
			if errors.As(err, new(*plantedError)) != tt.refused || !tt.refused && err != nil {
				t.Errorf("Replace = %v", err)
			}
			holds(t, dir, map[string]string{"f": want})
		})
	}
}

// TestWalkThrough: it is enough that a directory can be passed
// through.
func TestWalkThrough(t *testing.T) {
	writertest.NeedRoot(t)
	root := t.TempDir()
	writertest.Mkdirs(t, root, map[string]int{"a": 0})
	path := filepath.Join(root, "a", "b")
	if err := errors.Join(os.Mkdir(path, 0o777), os.Chmod(path, 0o777), os.Chmod(filepath.Dir(path), 0o711)); err != nil {
		t.Fatal(err)
	}
	if out, err := helper(t, "drop", filepath.Join(path, "f"), "new", "", "renamed").Output(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	holds(t, path, map[string]string{"f": "new"})
}
