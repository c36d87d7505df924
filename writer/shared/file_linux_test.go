package shared

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/writer/replace"
	"brs-exec.example/brs-exec/writer/writertest"
)

// As `docker run -v FILE:FILE` does it: the name is a mount point.
func TestSharedSingleFileMount(t *testing.T) {
	if !writertest.InMounts(t) {
		return
	}
	outside, dir := t.TempDir(), t.TempDir()
	source, path := filepath.Join(outside, "source"), filepath.Join(dir, "credentials")
	put(t, source, "[b]\nx = 1", 0o640)
	put(t, path, "", 0o600)
	writertest.Mount(t, source, path, "", unix.MS_BIND, "")
	var n told
	s := mustShared(t, path, "app", Options{AtExit: Restore, Notify: n.add})
	runShared(t, s)
	eventually(t, "it watches", watching(s))
	before := s.looks()
	for i := 5; i <= 7; i++ {
		if err := give(s, numbered(i)); err != nil {
			t.Fatal(err)
		}
	}
	holds(t, outside, map[string]string{"source": "[b]\nx = 1\n\n[app]\n" + newKeys})
	wantMode(t, path, 0o640)
	if lines := n.all(); len(lines) != 1 || !strings.Contains(lines[0], path+" is written in place (") || !strings.Contains(lines[0], "busy") {
		t.Errorf("told %q, want once that it is in place", lines)
	}
	// Written outside, where our directory shows nothing.
	eventually(t, "it has seen its own change", func() bool { return s.looks() > before })
	put(t, source, "[b]\nx = 2", 0o640)
	eventually(t, "put back", has(source, "[b]\nx = 2\n\n[app]\n"+newKeys))
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds(t, outside, map[string]string{"source": "[b]\nx = 2"})
	holds(t, dir, map[string]string{"credentials": "[b]\nx = 2"})
}

// A read-only root with one writable file in it: nothing can be made beside it.
func TestSharedReadOnlyDirectory(t *testing.T) {
	if !writertest.InMounts(t) {
		return
	}
	outside, dir, state := t.TempDir(), t.TempDir(), t.TempDir()
	source, path := filepath.Join(outside, "source"), filepath.Join(dir, "credentials")
	put(t, source, "[app]\n"+oldKeys, 0o600)
	put(t, path, "", 0o600)
	writertest.Mount(t, dir, dir, "", unix.MS_BIND, "")
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_STATE_HOME", state)
	s := mustShared(t, path, "app", Options{})
	if err := give(s, numbered(7)); !errors.Is(err, unix.EROFS) {
		t.Errorf("Deliver to a read-only file = %v, want EROFS", err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	writertest.Mount(t, source, path, "", unix.MS_BIND, "")
	s = mustShared(t, path, "app", Options{AtExit: Restore})
	if notes := s.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "backups go to "+state) {
		t.Errorf("Notes = %q", notes)
	}
	if err := give(s, numbered(7)); err != nil {
		t.Fatal(err)
	}
	holds(t, outside, map[string]string{"source": "[app]\n" + newKeys})
	if _, err := newShared(t, path, "app", Options{}); !errors.As(err, new(*heldError)) {
		t.Errorf("a second one = %v", err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds(t, outside, map[string]string{"source": "[app]\n" + oldKeys})
	holds(t, state, map[string]string{})
}

// A rename that fails as those of network file systems do.
func TestSharedRenameFails(t *testing.T) {
	for _, tt := range []struct {
		name      string
		rename    func(from, to string) error
		wantErr   error
		delivered bool
	}{
		{"stale", func(from, to string) error { return &os.LinkError{Op: "rename", Err: unix.ESTALE} }, unix.ESTALE, false},
		{"input/output error", func(from, to string) error { return &os.LinkError{Op: "rename", Err: unix.EIO} }, unix.EIO, false},
		{"another device", func(from, to string) error { return &os.LinkError{Op: "rename", Err: unix.EXDEV} }, nil, true},
		{"the answer was lost", func(from, to string) error { return errors.Join(os.Rename(from, to), os.Rename(from, to)) }, nil, true},
		{"not there", func(from, to string) error { return errors.Join(os.Remove(from), unix.ENOENT) }, unix.ENOENT, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "credentials")
			put(t, path, "[b]\n", 0o600)
			s := mustShared(t, path, "app", Options{rename: tt.rename, AtExit: Remove})
			err := give(s, numbered(7))
			if tt.wantErr == nil && err != nil || !errors.Is(err, tt.wantErr) {
				t.Errorf("Deliver = %v, want %v", err, tt.wantErr)
			}
			want := "[b]\n"
			if tt.delivered {
				want += "\n[app]\n" + newKeys
			}
			if !has(path, want)() {
				t.Error("the file is not as it should be")
			}
			s.target.Rename = nil
			if err := errors.Join(give(s, numbered(7)), s.Close(context.Background())); err != nil {
				t.Fatal(err)
			}
			holds(t, dir, map[string]string{"credentials": "[b]\n"})
		})
	}
}

func TestSharedOwner(t *testing.T) {
	writertest.NeedRoot(t)
	path := filepath.Join(t.TempDir(), "credentials")
	for range 2 { // a file that is there keeps its owner
		s := mustShared(t, path, "app", Options{Owner: &replace.Owner{UID: 1234, GID: 4321}, Perm: 0o640})
		if err := errors.Join(give(s, numbered(7)), s.Close(context.Background())); err != nil {
			t.Fatal(err)
		}
		writertest.WantOwner(t, path, 1234, 4321)
		wantMode(t, path, 0o640)
	}
}
