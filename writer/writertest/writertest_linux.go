package writertest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// InMounts runs the calling test again, alone, in a mount namespace, where it
// may mount what it likes and all of it ends with it. It returns true there.
func InMounts(t *testing.T) bool {
	t.Helper()
	const variable = "BRS_WRITER_TEST_MOUNTS"
	if os.Getenv(variable) == t.Name() {
		return true
	}
	NeedRoot(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), variable+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("may not make a mount namespace")
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("in the mount namespace: %v\n%s", err, out)
	}
	return false
}

// Mount mounts a file system until the test ends.
func Mount(t *testing.T, source, target, fstype string, flags uintptr, data string) {
	t.Helper()
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		t.Fatalf("mount %s on %s: %v", source, target, err)
	}
	t.Cleanup(func() { unix.Unmount(target, unix.MNT_DETACH) })
}

// Tmpfs makes a file system in memory of a size such as "64k".
func Tmpfs(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	Mount(t, "tmpfs", dir, "tmpfs", 0, "size="+size)
	return dir
}

// Users whom no machine has.
const Alice, Mallory = 20_000_001, 20_000_002

// Mkdirs makes directories with all that leads to them open, for each owner.
func Mkdirs(t *testing.T, root string, owners map[string]int) {
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

// Plants make what another user could have made under a name.
var Plants = map[string]func(path, text string) error{
	"another user's": func(path, text string) error {
		return errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chown(path, Mallory, Mallory))
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
