package replace

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/writer/writertest"
)

func kb(n int, c string) string { return strings.Repeat(c, n<<10) }

func TestReplaceDiskFull(t *testing.T) {
	if !writertest.InMounts(t) {
		return
	}
	dir := writertest.Tmpfs(t, "64k")
	path := filepath.Join(dir, "f")
	old := kb(20, "o")
	put(t, path, old, 0o600)
	for _, content := range []string{kb(60, "n"), kb(200, "n")} {
		if _, err := Replace(path, 0o600, to(content)); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("Replace on a full disk = %v, want ENOSPC", err)
		}
		holds(t, dir, map[string]string{"f": old})
	}
	// It is not broken for good.
	if res, err := Replace(path, 0o600, to(kb(30, "n"))); err != nil || res.Way != Renamed {
		t.Errorf("Replace with room = %+v, %v", res, err)
	}
	holds(t, dir, map[string]string{"f": kb(30, "n")})
}

func TestReplaceNoInodes(t *testing.T) {
	if !writertest.InMounts(t) {
		return
	}
	dir := t.TempDir()
	writertest.Mount(t, "tmpfs", dir, "tmpfs", 0, "nr_inodes=3")
	put(t, filepath.Join(dir, "f"), "old", 0o600)
	put(t, filepath.Join(dir, "g"), "", 0o600)
	if _, err := Replace(filepath.Join(dir, "f"), 0o600, to("new")); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Replace without inodes = %v, want ENOSPC", err)
	}
	holds(t, dir, map[string]string{"f": "old", "g": ""})
}

// As `docker run -v FILE:FILE` does it: the name is a mount point.
func TestReplaceSingleFileMount(t *testing.T) {
	if !writertest.InMounts(t) {
		return
	}
	outside, dir := t.TempDir(), t.TempDir()
	source, path := filepath.Join(outside, "source"), filepath.Join(dir, "f")
	put(t, source, "old content", 0o640)
	put(t, path, "", 0o600)
	writertest.Mount(t, source, path, "", unix.MS_BIND, "")
	for _, content := range []string{"new", "new and longer than the old one was", ""} {
		res, err := Replace(path, 0o600, to(content))
		if err != nil || res.Way != InPlace || !errors.Is(res.Cause, unix.EBUSY) {
			t.Fatalf("Replace = %+v, %v, want in place as it is busy", res, err)
		}
		holds(t, outside, map[string]string{"source": content})
		holds(t, dir, map[string]string{"f": content})
		wantMode(t, path, 0o640)
	}
}

func TestReplaceSingleFileMountDiskFull(t *testing.T) {
	if !writertest.InMounts(t) {
		return
	}
	full, dir := writertest.Tmpfs(t, "64k"), t.TempDir()
	source, path := filepath.Join(full, "source"), filepath.Join(dir, "f")
	old := kb(20, "o")
	put(t, source, old, 0o600)
	put(t, path, "", 0o600)
	writertest.Mount(t, source, path, "", unix.MS_BIND, "")
	if _, err := Replace(path, 0o600, to(kb(90, "n"))); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Replace on a full disk = %v, want ENOSPC", err)
	}
	holds(t, full, map[string]string{"source": old})
	holds(t, dir, map[string]string{"f": old})

	// No room for the backup: nothing is begun.
	backups := writertest.Tmpfs(t, "8k")
	target := Target{Path: path, BackupDir: backups}
	if _, err := target.Replace(context.Background(), to("short")); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "backup") {
		t.Errorf("Replace without room for a backup = %v, want ENOSPC", err)
	}
	holds(t, backups, map[string]string{})
	holds(t, full, map[string]string{"source": old})
}

// A read-only root with one writable file in it.
func TestReplaceReadOnlyDirectory(t *testing.T) {
	if !writertest.InMounts(t) {
		return
	}
	outside, dir, backups := t.TempDir(), t.TempDir(), t.TempDir()
	source, path := filepath.Join(outside, "source"), filepath.Join(dir, "f")
	put(t, source, "old", 0o600)
	put(t, path, "", 0o600)
	writertest.Mount(t, dir, dir, "", unix.MS_BIND, "")
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := Replace(path, 0o600, to("new")); !errors.Is(err, unix.EROFS) {
		t.Errorf("Replace of a read-only file = %v, want EROFS", err)
	}
	writertest.Mount(t, source, path, "", unix.MS_BIND, "")
	if _, err := Replace(path, 0o600, to("new")); !errors.Is(err, unix.EROFS) || !strings.Contains(err.Error(), "backup") {
		t.Errorf("Replace without a place for the backup = %v, want EROFS", err)
	}
	holds(t, outside, map[string]string{"source": "old"})
	res, err := Target{Path: path, BackupDir: backups}.Replace(context.Background(), to("new"))
	if err != nil || res.Way != InPlace || !errors.Is(res.Cause, unix.EROFS) {
		t.Errorf("Replace = %+v, %v, want in place", res, err)
	}
	holds(t, outside, map[string]string{"source": "new"})
	holds(t, backups, map[string]string{})
}

func TestReplaceKeepsACL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, "old", 0o640)
	// Version 2; entries of tag, permissions, id: u::rw- u:1234:r-- g::r-- m::r-- o::---
	acl := []byte("\x02\x00\x00\x00" +
		"\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xd2\x04\x00\x00" + "\x04\x00\x04\x00\xff\xff\xff\xff" +
		"\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff")
	const attribute = "system.posix_acl_access"
	if err := unix.Setxattr(path, attribute, acl, 0); err != nil {
		t.Skipf("no ACLs here: %v", err)
	}
	if _, err := Replace(path, 0o600, to("new")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100)
	n, err := unix.Getxattr(path, attribute, got)
	if err != nil || !bytes.Equal(got[:max(0, n)], acl) {
		t.Errorf("ACL = %x, %v, want %x", got[:max(0, n)], err, acl)
	}
}
