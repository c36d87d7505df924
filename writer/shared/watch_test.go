package shared

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runShared runs s until the test ends.
func runShared(t *testing.T, s *File) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(3 * time.Minute)
	defer timeout.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("never: %s", what)
		}
	}
}

func has(path, want string) func() bool {
	return func() bool {
		data, err := os.ReadFile(path)
		return err == nil && string(data) == want
	}
}

func watching(s *File) func() bool {
	return func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.looked > 0 }
}

func TestSharedRunPutsBack(t *testing.T) {
	const others = "[b]\nc = 1\n"
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, dir, path string) // leaves others + "d = 2\n"
		want   string
	}{
		{"written in place", func(t *testing.T, dir, path string) { put(t, path, others+"d = 2\n", 0o600) }, ""},
		{"renamed over", func(t *testing.T, dir, path string) {
			put(t, filepath.Join(dir, "tmp"), others+"d = 2\n", 0o600)
			if err := os.Rename(filepath.Join(dir, "tmp"), path); err != nil {
				t.Error(err)
			}
		}, ""},
		{"keys replaced", func(t *testing.T, dir, path string) {
			put(t, path, others+"d = 2\n\n[app]\n"+oldKeys, 0o600)
		}, ""},
		{"removed", func(t *testing.T, dir, path string) {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}, "[app]\n" + newKeys},
	} {
		for _, events := range []bool{true, false} {
			name := tt.name
			var noEvents error
			if !events {
				name += ", no events"
				noEvents = errors.New("too many open files")
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				path := filepath.Join(dir, "credentials")
				put(t, path, others, 0o600)
				var n told
				s := mustShared(t, path, "app", Options{Notify: n.add, noEvents: noEvents})
				if err := give(s, numbered(7)); err != nil {
					t.Fatal(err)
				}
				runShared(t, s)
				eventually(t, "it watches", watching(s))
				tt.change(t, dir, path)
				want := tt.want
				if want == "" {
					want = others + "d = 2\n\n[app]\n" + newKeys
				}
				eventually(t, "the keys are put back", has(path, want))
				last := func() string { lines := n.all(); return append([]string{""}, lines...)[len(lines)] }
				eventually(t, "it is told", func() bool { return strings.HasSuffix(last(), "put back") })
				if !events && !strings.Contains(n.all()[0], "is looked at every 20ms") {
					t.Errorf("told %q", n.all())
				}
			})
		}
	}
}

// Who changes the keys again and again has them until the next refresh.
func TestSharedRunDoesNotFight(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	var n told
	s := mustShared(t, path, "app", Options{Notify: n.add})
	if err := give(s, numbered(7)); err != nil {
		t.Fatal(err)
	}
	runShared(t, s)
	eventually(t, "it watches", watching(s))
	looks := func() int { s.mu.Lock(); defer s.mu.Unlock(); return s.looked }
	for round := range 2 {
		n.mu.Lock()
		n.lines = nil
		n.mu.Unlock()
		put(t, path, "[mine]\n", 0o600)
		eventually(t, "put back", has(path, "[mine]\n\n[app]\n"+newKeys[:len(newKeys)-2]+string(rune('7'+round))+"\n"))
		for i := range 3 {
			before := looks()
			put(t, path, "[mine]\nx = "+strings.Repeat("y", i+1)+"\n", 0o600)
			eventually(t, "looked at again", func() bool { return looks() > before })
			eventually(t, "it is told", func() bool { return len(n.all()) == 2 })
			if !has(path, "[mine]\nx = "+strings.Repeat("y", i+1)+"\n")() {
				t.Error("the file was written again")
			}
		}
		if got := n.all(); len(got) != 2 || !strings.HasSuffix(got[1], "changed by another program again: they are left alone until the next refresh") {
			t.Errorf("told %q", got)
		}
		next := numbered(7)
		next.SessionToken = "TOKEN8"
		if err := give(s, next); err != nil {
			t.Fatal(err)
		}
		if want := "[mine]\nx = yyy\n\n[app]\n" + strings.Replace(newKeys, "TOKEN7", "TOKEN8", 1); !has(path, want)() {
			t.Error("a refresh does not put the keys back")
		}
	}
}

// A file that is broken is said to be so, once, and left alone.
func TestSharedRunLeavesBrokenFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	var n told
	s := mustShared(t, path, "app", Options{Notify: n.add})
	if err := give(s, numbered(7)); err != nil {
		t.Fatal(err)
	}
	runShared(t, s)
	eventually(t, "it watches", watching(s))
	put(t, path, "broken\n", 0o600)
	eventually(t, "it is told", func() bool { return len(n.all()) == 1 && strings.Contains(n.all()[0], path+":1: a setting outside") })
	put(t, path, "[x]\n", 0o600)
	eventually(t, "put back", has(path, "[x]\n\n[app]\n"+newKeys))
}

// As Kubernetes changes a mounted volume: the files stay what they are, links
// to a link that is turned.
func TestSharedRunFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	turn := func(version string) {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, version, "credentials"), "["+version+"]\n", 0o600)
		if err := os.Symlink(version, filepath.Join(dir, "..tmp")); err != nil {
			t.Skip(err)
		}
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	turn("..1")
	path := filepath.Join(dir, "credentials")
	if err := os.Symlink("..data/credentials", path); err != nil {
		t.Fatal(err)
	}
	s := mustShared(t, path, "app", Options{})
	runShared(t, s)
	eventually(t, "it watches", watching(s))
	for i, version := range []string{"..2", "..3"} {
		creds := numbered(7)
		creds.SessionToken = "TOKEN" + string(rune('1'+i))
		before := s.looks()
		if err := give(s, creds); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it has seen its own change", func() bool { return s.looks() > before })
		turn(version)
		eventually(t, "put back", has(path, "["+version+"]\n\n[app]\n"+strings.Replace(newKeys, "TOKEN7", creds.SessionToken, 1)))
		if data, err := os.ReadFile(filepath.Join(dir, version, "credentials")); err != nil || !strings.Contains(string(data), "[app]") {
			t.Errorf("%s: %q, %v", version, data, err)
		}
	}
}

func (s *File) looks() int { s.mu.Lock(); defer s.mu.Unlock(); return s.looked }

// The directory goes and comes back.
func TestSharedRunOutlivesDirectories(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	path := filepath.Join(dir, "credentials")
	s := mustShared(t, path, "app", Options{})
	if err := give(s, numbered(1)); err != nil {
		t.Fatal(err)
	}
	runShared(t, s)
	eventually(t, "it watches", watching(s))
	before := s.looks()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is missed", func() bool { return s.looks() > before })
	if err := give(s, numbered(2)); err == nil {
		t.Error("delivered to a directory that is not there")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := give(s, numbered(7)); err != nil {
		t.Fatal(err)
	}
	put(t, path, "[x]\n", 0o600)
	eventually(t, "put back", has(path, "[x]\n\n[app]\n"+newKeys))
}

// Nothing is looked at as long as nothing happens to the file.
func TestSharedRunIdle(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	s := mustShared(t, path, "app", Options{settle: time.Millisecond, every: time.Millisecond})
	if err := give(s, numbered(1)); err != nil {
		t.Fatal(err)
	}
	runShared(t, s)
	eventually(t, "it watches", watching(s))
	before := s.looks()
	for range 20 {
		put(t, filepath.Join(dir, "other"), "x", 0o600)
		timer := time.NewTimer(5 * time.Millisecond)
		<-timer.C
	}
	if got := s.looks(); got != before {
		t.Errorf("looked at %d times while nothing happened to it", got-before)
	}
}
