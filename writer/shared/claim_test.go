package shared

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// helpShared keeps the section SECTION of PATH, at exit as MODE says. It
// delivers new credentials until its input ends, COUNT of them at most.
func helpShared(args []string) error {
	exit, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	s, err := Open(context.Background(), Options{Path: args[0], Sections: map[string]string{"x": args[1]}, AtExit: AtExit(exit)})
	if err != nil {
		fmt.Println(err)
		return nil
	}
	if err := give(s, numbered(0)); err != nil {
		return err
	}
	fmt.Println("kept")
	ended := make(chan struct{})
	go func() { io.Copy(io.Discard, os.Stdin); close(ended) }()
	for i := 1; i < count; i++ {
		if err := give(s, numbered(i)); err != nil {
			return errors.Join(err, s.Close(context.Background()))
		}
		select {
		case <-ended:
			return s.Close(context.Background())
		default:
		}
	}
	<-ended
	return s.Close(context.Background())
}

func TestSharedClaims(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "credentials"), filepath.Join(t.TempDir(), "link")
	put(t, path, "", 0o600)
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	cmd, stdin, said := startHelper(t, "shared", path, "app", "1", "1")
	if said != "kept" {
		t.Fatalf("the first said %q", said)
	}
	for _, name := range []string{path, link} {
		_, err := newShared(t, name, "app", Options{})
		var held *heldError
		if !errors.As(err, &held) || held.pid != cmd.Process.Pid || !strings.Contains(err.Error(), "section [app] of "+name+": another brs-exec keeps it: process ") {
			t.Errorf("Open = %v, want that process %d has it", err, cmd.Process.Pid)
		}
	}
	other := mustShared(t, path, "other", Options{AtExit: Remove})
	if err := give(other, numbered(1)); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	again := mustShared(t, path, "app", Options{})
	if _, err := newShared(t, path, "app", Options{}); !errors.As(err, new(*heldError)) {
		t.Errorf("a second Open in the same process = %v", err)
	}
	if err := errors.Join(again.Close(context.Background()), other.Close(context.Background())); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"credentials": ""})
}

// After a kill the next one knows what stood in the section before.
func TestSharedKilledThenRestored(t *testing.T) {
	original := "[app]\naws_access_key_id = AKIA\naws_secret_access_key = S\n  # c\n[b]\nc = d"
	byHand := "[app]\naws_access_key_id = AKIB\naws_secret_access_key = T\n"
	for _, tt := range []struct{ name, in, edit, want string }{
		{"nothing else happened", original, "", original},
		{"the user wrote other keys", original, byHand, byHand},
		{"added", "[b]\n", "", "[b]\n"},
		{"no file", "-", "", "-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "credentials")
			if tt.in != "-" {
				put(t, path, tt.in, 0o600)
			}
			for range 3 {
				cmd, _, said := startHelper(t, "shared", path, "app", "2", "1000000")
				if said != "kept" {
					t.Fatalf("it said %q", said)
				}
				cmd.Process.Kill()
				cmd.Wait()
			}
			if tt.edit != "" {
				put(t, path, tt.edit, 0o600)
			} else if tt.in == original {
				// Its long-term keys must not be forgotten by one that does not restore.
				if _, err := newShared(t, path, "app", Options{}); !errors.As(err, new(*keysError)) {
					t.Errorf("Open that leaves = %v", err)
				}
			}
			s := mustShared(t, path, "app", Options{AtExit: Restore})
			if err := give(s, numbered(5)); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"credentials": tt.want}
			if tt.want == "-" {
				want = map[string]string{}
			}
			holds(t, dir, want)
		})
	}
}

// What a killed process left behind of a section that nobody keeps any more
// goes with the next start for any section.
func TestSharedSweepsClaims(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	cmd, _, said := startHelper(t, "shared", path, "gone", "0", "1")
	if said != "kept" {
		t.Fatalf("it said %q", said)
	}
	claims := func() []string {
		names, err := filepath.Glob(filepath.Join(dir, ".credentials.brs-exec-*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	s := mustShared(t, path, "app", Options{})
	if got := claims(); len(got) != 2 {
		t.Errorf("claims of two that live: %q", got)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	mustShared(t, path, "app", Options{})
	if got := claims(); len(got) != 1 {
		t.Errorf("claims of one that lives: %q", got)
	}
}
