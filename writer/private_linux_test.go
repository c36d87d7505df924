package writer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/writer/process"
	"brs-exec.example/brs-exec/writer/writertest"
)

func TestPrivateDiskFull(t *testing.T) {
	if !writertest.InMounts(t) {
		return
	}
	full, roomy := writertest.Tmpfs(t, "32k"), writertest.Tmpfs(t, "256k")
	for _, dir := range []string{full, roomy} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := "[default]\noutput = text\n" + strings.Repeat("# ", 40<<10)
	p, err := newPrivate(t, config, "", Options{Dirs: []string{full, roomy}})
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(p.Dir()) != roomy {
		t.Errorf("made %s, want it where there is room", p.Dir())
	}
	holds(t, full, map[string]string{})
	if _, err := newPrivate(t, config, "", Options{Dirs: []string{full}}); err == nil || !strings.Contains(err.Error(), full+" (no space left on device)") {
		t.Errorf("NewPrivate = %v, want the reason", err)
	}
	holds(t, full, map[string]string{})

	// Full later: the child keeps what it has, and the next try succeeds.
	if err := deliver(p, numbered(1)); err != nil {
		t.Fatal(err)
	}
	before := names(t, p.Dir())
	ballast := filepath.Join(roomy, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	if err := deliver(p, numbered(2)); !errors.Is(err, unix.ENOSPC) || strings.Contains(err.Error(), "SECRET2") {
		t.Errorf("Deliver on a full disk = %v, want ENOSPC", err)
	}
	if got := names(t, p.Dir()); strings.Join(got, " ") != strings.Join(before, " ") {
		t.Errorf("files = %v, want %v", got, before)
	}
	if line, err := process.Output(p.Dir(), time.Now()); err != nil || !strings.Contains(string(line), "AKID1") {
		t.Errorf("output = %s, %v, want the old credentials", line, err)
	}
	readersAgree(t, p)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := deliver(p, numbered(2)); err != nil {
		t.Error(err)
	}
	if line, err := process.Output(p.Dir(), time.Now()); err != nil || !strings.Contains(string(line), "AKID2") {
		t.Errorf("output = %s, %v, want the new credentials", line, err)
	}
}

// A path with a file system that is read-only, and one that cannot be reached.
func TestPrivateReadOnlyRoot(t *testing.T) {
	if !writertest.InMounts(t) {
		return
	}
	readOnly, shm := plainDir(t), writertest.Tmpfs(t, "64k")
	writertest.Mount(t, "tmpfs", readOnly, "tmpfs", unix.MS_RDONLY, "mode=0755")
	if err := os.Chmod(shm, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	p, err := newPrivate(t, "", "", Options{Dirs: []string{readOnly, shm}})
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(filepath.Dir(p.Dir())) != shm {
		t.Errorf("made %s, want it below %s", p.Dir(), shm)
	}
	if _, err := newPrivate(t, "", "", Options{Dirs: []string{readOnly}}); err == nil || !strings.Contains(err.Error(), readOnly+" (read-only file system)") {
		t.Errorf("NewPrivate = %v, want the reason", err)
	}
}
