//go:build unix

package authority

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// TestPipe holds that a pipe, which nobody may ever write to, is not waited for.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	_, _, err := Bundles([]string{"AWS_CA_BUNDLE=" + fifo}, "", nil)
	var e *BundleError
	if !errors.As(err, &e) || !errors.Is(err, pathsafe.ErrNotRegular) {
		t.Errorf("error %v", err)
	}
	// In a directory it is left out.
	write(t, dir, map[string]string{"a.pem": block("a")})
	if text, err := readBundle(dir); err != nil || names(text) != "a" {
		t.Errorf("got %q, %v", names(text), err)
	}
}
