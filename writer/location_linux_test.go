package writer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"brs-exec/writer/pathsafe"
)

// Users whom no machine has.
const alice, mallory = 20_000_001, 20_000_002

// mkdirs makes directories with all that leads to them open, for each owner.
func mkdirs(t *testing.T, root string, owners map[string]int) {
	t.Helper()
	for dir := root; dir != "/" && strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, owner := range owners {
		dir := filepath.Join(root, name)
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, owner, owner)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplaceDirectoryExchanged: who owns the directory puts a link to another one
// in its place between the reading and the renaming. What is written is in the
// directory that was read from.
func TestReplaceDirectoryExchanged(t *testing.T) {
	root := t.TempDir()
	mkdirs(t, root, map[string]int{"theirs": os.Getuid(), "ours": os.Getuid()})
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
	needRoot(t)
	root := t.TempDir()
	mkdirs(t, root, map[string]int{"root": 0, "alice": alice, "mallory": mallory})
	for _, tt := range []struct {
		owner    int
		to       string
		followed bool
	}{
		{0, "root", true}, {0, "alice", true}, {0, "mallory", true},
		{alice, "alice", true}, {alice, "root", false}, {alice, "mallory", false},
		{mallory, "alice", false}, {mallory, "root", false}, {mallory, "mallory", true},
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

// TestActsAsOwner: in another user's directory root does what that user may do,
// and its files are that user's.
func TestActsAsOwner(t *testing.T) {
	needRoot(t)
	root := t.TempDir()
	mkdirs(t, root, map[string]int{"alice": alice})
	path := filepath.Join(root, "alice", "credentials")
	made := filepath.Join(root, "alice", ".aws", "credentials") // in a directory that is missing
	if err := mustShared(t, made, "app", SharedOptions{}).Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantOwner(t, filepath.Dir(made), alice, alice)
	if err := os.Remove(filepath.Dir(made)); err != nil {
		t.Fatal(err)
	}
	s := mustShared(t, path, "app", SharedOptions{AtExit: Restore})
	if err := give(s, numbered(7)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 {
		t.Errorf("%d files, %v, want the file and the claim", len(entries), err)
	}
	for _, e := range entries {
		wantOwner(t, filepath.Join(root, "alice", e.Name()), alice, alice)
		wantMode(t, filepath.Join(root, "alice", e.Name()), 0o600)
	}
	if uid, _ := unix.SetfsuidRetUid(-1); uid != 0 {
		t.Errorf("this thread acts as user %d now", uid)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Dir(path), map[string]string{})

	if _, err := newShared(t, path, "app", SharedOptions{Owner: &Owner{UID: mallory, GID: -1}}); err == nil || !strings.Contains(err.Error(), "is made") {
		t.Errorf("a file for mallory in alice's directory = %v", err)
	}
	inGroup(t, 4242)
	put(t, path, "", 0o660)
	if err := os.Chown(path, 0, 4242); err != nil {
		t.Fatal(err)
	}
	if _, err := newShared(t, path, "app", SharedOptions{}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "as user 20000001") {
		t.Errorf("a file that alice may not read = %v", err)
	}
	if err := errors.Join(os.Remove(path), os.Chmod(filepath.Dir(path), 0o500)); err != nil {
		t.Fatal(err)
	}
	if _, err := newShared(t, path, "app", SharedOptions{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a directory that alice may not write to = %v", err)
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

// TestActsAsOwnerPanics: what goes wrong in there is the caller's to recover from.
func TestActsAsOwnerPanics(t *testing.T) {
	needRoot(t)
	root := t.TempDir()
	mkdirs(t, root, map[string]int{"alice": alice})
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

// TestSharedDirectoryChangesHands: what was root's directory at the start is not
// followed to another user's.
func TestSharedDirectoryChangesHands(t *testing.T) {
	needRoot(t)
	root := t.TempDir()
	mkdirs(t, root, map[string]int{"d": 0})
	dir := filepath.Join(root, "d")
	s := mustShared(t, filepath.Join(dir, "credentials"), "app", SharedOptions{})
	if err := give(s, numbered(1)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, mallory, mallory); err != nil {
		t.Fatal(err)
	}
	if err := give(s, numbered(2)); err == nil || !strings.Contains(err.Error(), "is user 20000002's now") {
		t.Errorf("Deliver = %v", err)
	}
}

// plant makes what another user could have made under a name.
var plants = map[string]func(path, text string) error{
	"another user's": func(path, text string) error {
		return errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chown(path, mallory, mallory))
	},
	"others can write": func(path, text string) error {
		return errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, 0o666))
	},
	"another name of a file": func(path, text string) error {
		other := filepath.Join(filepath.Dir(path), "other")
		return errors.Join(os.WriteFile(other, []byte(text), 0o600), os.Link(other, path))
	},
	"link": func(path, text string) error {
		other := filepath.Join(filepath.Dir(path), "other")
		return errors.Join(os.WriteFile(other, []byte(text), 0o600), os.Symlink("other", path))
	},
	"link to a device": func(path, _ string) error { return os.Symlink("/dev/zero", path) },
	"device":           func(path, _ string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) },
	"pipe":             func(path, _ string) error { return unix.Mkfifo(path, 0o600) },
	"endless": func(path, _ string) error {
		return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<40))
	},
}

// TestPlantedBackups: by what another user could have put beside the file, it is
// not changed.
func TestPlantedBackups(t *testing.T) {
	needRoot(t)
	// Half of one and half of the other: what a writer that was killed leaves.
	const mine, evil = "[app]\nregion = aaaa\n", "[app]\ncredential_process = evil\nx=z\n"
	for kind, make := range plants {
		for _, which := range []string{backupSuffix, nextSuffix} {
			t.Run(kind+which, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "credentials")
				old := evil[:len(evil)-1] + "\n"
				next := mine + strings.Repeat("\n", len(evil)-len(mine))
				now := next[:len(next)-1] + old[len(old)-1:]
				put(t, path, now, 0o600)
				p := &location{path: path, name: "credentials"}
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

// TestPlantedClaims: a name of a claim that another user took is an error, and
// nothing is written to what it leads to.
func TestPlantedClaims(t *testing.T) {
	needRoot(t)
	key := "-----BEGIN OPENSSH PRIVATE KEY-----\n" + strings.Repeat("x", 200)
	for kind, make := range plants {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "credentials")
			put(t, path, "", 0o600)
			name := filepath.Join(dir, claimName(path, "app"))
			if err := make(name, key); err != nil {
				t.Fatal(err)
			}
			_, err := newShared(t, path, "app", SharedOptions{})
			if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "remove it") && kind != "endless" {
				t.Errorf("NewShared = %v, want an error that names it", err)
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
		name := filepath.Join(dir, claimName(path, "app"))
		put(t, name, key, 0o600)
		if _, err := newShared(t, path, "app", SharedOptions{}); err == nil || !strings.Contains(err.Error(), "not a claim") {
			t.Errorf("NewShared = %v", err)
		}
		holds(t, dir, map[string]string{filepath.Base(name): key})
	})
}

// TestPlantedSentinels: whatever has the sentinel's name, writing goes on or ends
// with an error, and nothing hangs.
func TestPlantedSentinels(t *testing.T) {
	needRoot(t)
	for kind, make := range plants {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "credentials")
			put(t, path, "old", 0o600)
			if err := make(filepath.Join(dir, besidePrefix("credentials")+"lock"), "x"); err != nil {
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
	needRoot(t)
	for _, kind := range []string{"link to a device", "device", "pipe", "endless"} {
		t.Run(kind, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "credentials")
			if err := plants[kind](path, ""); err != nil {
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
	needRoot(t)
	for _, tt := range []struct {
		name             string
		mode             fs.FileMode
		directory, owner int
		meant            *Owner
		refused          bool
	}{
		{"another user's", 0o777 | fs.ModeSticky, 0, mallory, nil, true},
		{"another user's, for a group", 0o770 | fs.ModeSticky, 0, mallory, nil, true},
		{"another user's, though a third one is meant", 0o777 | fs.ModeSticky, 0, mallory, &Owner{UID: alice, GID: -1}, true},
		{"another user's, as is meant", 0o777 | fs.ModeSticky, 0, mallory, &Owner{UID: mallory, GID: -1}, false},
		{"ours", 0o777 | fs.ModeSticky, 0, 0, nil, false},
		{"that of the directory's owner", 0o777 | fs.ModeSticky, mallory, mallory, nil, false},
		{"another user's, where root put it", 0o755, 0, mallory, nil, false},
		{"another user's, in a volume", 0o777, 0, mallory, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			mkdirs(t, root, map[string]int{"d": tt.directory})
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
	needRoot(t)
	root := t.TempDir()
	mkdirs(t, root, map[string]int{"a": 0})
	path := filepath.Join(root, "a", "b")
	if err := errors.Join(os.Mkdir(path, 0o777), os.Chmod(path, 0o777), os.Chmod(filepath.Dir(path), 0o711)); err != nil {
		t.Fatal(err)
	}
	if out, err := helper(t, "drop", filepath.Join(path, "f"), "new", "", "renamed").Output(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	holds(t, path, map[string]string{"f": "new"})
}
