//go:build unix

package source

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// TestWatchOneFile hears of a change in place, of a rename, and of a link on the way that leads
// elsewhere.
func TestWatchOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "1"), 0o700), os.Mkdir(filepath.Join(dir, "2"), 0o700),
		os.WriteFile(filepath.Join(dir, "1", "f"), nil, 0o600), os.WriteFile(filepath.Join(dir, "2", "f"), nil, 0o600),
		os.Symlink("1", filepath.Join(dir, "..data")), os.Symlink("..data/f", filepath.Join(dir, "f")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	heard := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		WatchFile(ctx, filepath.Join(dir, "f"), func() {
			select {
			case heard <- struct{}{}:
			default:
			}
		})
	}()
	<-heard // it watches
	for _, change := range []func() error{
		func() error { return os.WriteFile(filepath.Join(dir, "1", "f"), []byte("x"), 0o600) },
		func() error {
			if err := os.WriteFile(filepath.Join(dir, "1", "new"), []byte("y"), 0o600); err != nil {
				return err
			}
			return os.Rename(filepath.Join(dir, "1", "new"), filepath.Join(dir, "1", "f"))
		},
		func() error {
			if err := os.Symlink("2", filepath.Join(dir, "tmp")); err != nil {
				return err
			}
			return os.Rename(filepath.Join(dir, "tmp"), filepath.Join(dir, "..data"))
		},
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		<-heard
	}
	cancel()
	<-done
}
