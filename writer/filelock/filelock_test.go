package filelock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestTry(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	first, second := open(t, path), open(t, path)
	for range 2 { // whoever has it may ask again
		if err := Try(first); err != nil {
			t.Fatal(err)
		}
	}
	if err := Try(second); err != ErrLocked {
		t.Errorf("a second one = %v, want %v", err, ErrLocked)
	}
	Release(first)
	if err := Try(second); err != nil {
		t.Errorf("after Release: %v", err)
	}
	second.Close()
	if err := Try(first); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

func TestTake(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	first, second := open(t, path), open(t, path)
	if err := Take(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("waited long enough")
	taken := make(chan error)
	go func() { taken <- Take(ctx, second) }()
	cancel(cause)
	err := <-taken
	if !errors.Is(err, ErrLocked) || !errors.Is(err, cause) {
		t.Errorf("when ctx ends = %v, want %v and %v", err, ErrLocked, cause)
	}
	if want := "lock " + path + ": held by another process (waited long enough)"; err.Error() != want {
		t.Errorf("says %q, want %q", err, want)
	}
	go func() { taken <- Take(t.Context(), second) }()
	Release(first)
	if err := <-taken; err != nil {
		t.Errorf("after Release: %v", err)
	}
}

// TestTakeWaits: whoever waits gets the lock, however late it is given up.
func TestTakeWaits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	first, second := open(t, path), open(t, path)
	if err := Try(first); err != nil {
		t.Fatal(err)
	}
	released := make(chan struct{})
	time.AfterFunc(3*maxPoll, func() { defer close(released); Release(first) })
	if err := Take(t.Context(), second); err != nil {
		t.Error(err)
	}
	<-released
}

func TestIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	f := open(t, filepath.Join(dir, "file"))
	open(t, filepath.Join(dir, "other")).Close()
	if !IsNamed(f, root, "file") || IsNamed(f, root, "other") || IsNamed(f, root, "missing") {
		t.Error("takes one name for another")
	}
	f.Close()
	if IsNamed(f, root, "file") {
		t.Error("a closed file is still there")
	}
}
