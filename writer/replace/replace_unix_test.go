//go:build unix

package replace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/writer/filelock"
	"brs-exec.example/brs-exec/writer/writertest"
)

func TestReplaceKeepsOwnerAndMode(t *testing.T) {
	writertest.NeedRoot(t)
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, "old", 0o600)
	if err := os.Chown(path, 1234, 4321); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o604|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	if _, err := Replace(path, 0o600, to("new")); err != nil {
		t.Fatal(err)
	}
	writertest.WantOwner(t, path, 1234, 4321)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o604|os.ModeSetgid {
		t.Errorf("mode = %v, %v", info.Mode(), err)
	}
}

func TestReplaceRefusesPipes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Replace(path, 0o600, to("x")); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("Replace of a pipe = %v", err)
	}
}

func TestCannotRename(t *testing.T) {
	for err, want := range map[error]bool{
		unix.EBUSY: true, unix.EXDEV: true, unix.EROFS: true, unix.EACCES: true, unix.EPERM: true,
		unix.ENOSPC: false, unix.EDQUOT: false, unix.ETXTBSY: false, unix.EIO: false, unix.ENOENT: false, unix.ESTALE: false,
	} {
		if got := CannotRename(&os.LinkError{Op: "rename", Err: err}); got != want {
			t.Errorf("CannotRename(%v) = %v, want %v", err, got, want)
		}
	}
}

// drop runs the helper that becomes a user without rights and replaces path.
func drop(t *testing.T, path, content, backupDir string) error {
	t.Helper()
	writertest.NeedRoot(t)
	cmd := helper(t, "drop", path, content, backupDir)
	cmd.Stderr = nil // with coverage it complains there that it may not write what it has counted
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return errors.New(string(exit.Stderr))
	}
	if err != nil {
		return err
	}
	if got := string(out); got != "in place\n" {
		t.Errorf("way = %q, want in place", got)
	}
	return nil
}

const nobody = 65534

func helpDrop(args []string) error {
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
		return err
	}
	res, err := Target{Path: args[0], Perm: 0o600, BackupDir: args[2]}.Replace(context.Background(), to(args[1]))
	if err != nil {
		return err
	}
	if len(args) > 3 && args[3] == "renamed" && res.Way == Renamed {
		return nil
	}
	if res.Way != InPlace || res.Cause == nil {
		return errors.New("way " + strconv.Itoa(int(res.Way)))
	}
	_, err = os.Stdout.WriteString("in place\n")
	return err
}

// inDirs makes a directory that nobody may not write to with a file that it
// may, and one for backups.
func inDirs(t *testing.T, owner int) (path, backups string) {
	t.Helper()
	writertest.NeedRoot(t)
	root := t.TempDir()
	for dir := root; dir != "/"; dir = filepath.Dir(dir) { // nobody must get there
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o005 != 0o005 {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Skip(err)
			}
		}
	}
	path, backups = filepath.Join(root, "d", "f"), filepath.Join(root, "b")
	for _, dir := range []string{filepath.Dir(path), backups} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put(t, path, "a longer old content", 0o666)
	if err := errors.Join(os.Chown(path, owner, owner), os.Chown(backups, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	return path, backups
}

func TestReplaceInDirectoryNotWritable(t *testing.T) {
	path, backups := inDirs(t, nobody)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := drop(t, path, "new", ""); err == nil || !strings.Contains(err.Error(), "backup") {
		t.Errorf("without a place for the backup = %v, want an error", err)
	}
	holds(t, filepath.Dir(path), map[string]string{"f": "a longer old content"})
	if err := drop(t, path, "new", backups); err != nil {
		t.Error(err)
	}
	holds(t, filepath.Dir(path), map[string]string{"f": "new"})
	holds(t, backups, map[string]string{})
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("not the same file any more: %v", err)
	}
}

func TestReplaceFileNotWritable(t *testing.T) {
	path, backups := inDirs(t, 0)
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	if err := drop(t, path, "new", backups); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("Replace = %v, want permission denied", err)
	}
	holds(t, filepath.Dir(path), map[string]string{"f": "a longer old content"})
	holds(t, backups, map[string]string{})
}

// A rename would make us the owner of a file that others own.
func TestReplaceOwnerNotOurs(t *testing.T) {
	path, backups := inDirs(t, 0)
	if err := os.Chown(filepath.Dir(path), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if err := drop(t, path, "new and much longer than what was there", backups); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Dir(path), map[string]string{"f": "new and much longer than what was there"})
	writertest.WantOwner(t, path, 0, 0)
}

// errCannotRename has a file written in place.
var errCannotRename = error(unix.EXDEV)

// TestReplaceSyncs: the content is on the disk before it has the name, and the name
// before Replace returns. What cannot be synced for good is an error; a directory of
// a file system that cannot sync them is none.
func TestReplaceSyncs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	var did []string
	target := Target{Path: path, Perm: 0o600}
	target.Rename = func(from, to string) error {
		did = append(did, "rename")
		return os.Rename(from, to)
	}
	var dirErr error
	target.fsync = func(f *os.File) error {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if info.IsDir() {
			did = append(did, "sync directory")
			return dirErr
		}
		did = append(did, "sync "+strconv.Itoa(int(info.Size()))+" bytes")
		return f.Sync()
	}
	for _, tt := range []struct {
		err  error
		want bool // an error
	}{{nil, false}, {unix.EINVAL, false}, {unix.ENOTSUP, false}, {unix.EIO, true}} {
		did, dirErr = nil, tt.err
		_, err := target.Replace(context.Background(), to(fmt.Sprint("to ", tt.err)))
		if (err != nil) != tt.want || tt.want && !errors.Is(err, tt.err) {
			t.Errorf("the directory's error is %v: Replace = %v", tt.err, err)
		}
		want := []string{"sync " + strconv.Itoa(len(fmt.Sprint("to ", tt.err))) + " bytes", "rename", "sync directory"}
		if diff := cmp.Diff(want, did); diff != "" {
			t.Errorf("(-want +did):\n%s", diff)
		}
	}
}

// TestLockOfTheFaster: who waits in vain because others are faster each time is told that
// the lock is held, as one who waits for a single holder is.
func TestLockOfTheFaster(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	put(t, path, "text", 0o600)
	lock := filepath.Join(dir, BesidePrefix("credentials")+"lock")
	next := func() *os.File { // has the name and the lock before the last one gives the lock back
		f, err := os.OpenFile(lock+"-next", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			err = errors.Join(filelock.Try(f), os.Rename(f.Name(), lock))
		}
		if err != nil {
			t.Error(err)
		}
		return f
	}
	last := next()
	ctx, cancel := context.WithCancel(t.Context())
	var others sync.WaitGroup
	others.Go(func() {
		for ctx.Err() == nil && !t.Failed() {
			f := next()
			last.Close()
			last = f
		}
		last.Close()
	})
	defer others.Wait()
	defer cancel()
	for range 100 {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
		err := Target{Path: path}.At(func(p *Location) error {
			_, err := p.Lock(ctx)
			return err
		})
		cancel()
		if !errors.Is(err, filelock.ErrLocked) {
			t.Fatalf("%v, want %v", err, filelock.ErrLocked)
		}
	}
}
