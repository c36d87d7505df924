package replace

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Replace is Target.Replace for the tests that want nothing else of it.
func Replace(path string, perm os.FileMode, edit func(old []byte) ([]byte, error)) (Result, error) {
	return Target{Path: path, Perm: perm}.Replace(context.Background(), edit)
}

func to(content string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(content), nil }
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	res, err := Replace(path, 0o640, to("one"))
	if err != nil || res.Way != Renamed {
		t.Fatalf("Replace = %+v, %v", res, err)
	}
	holds(t, dir, map[string]string{"credentials": "one"})

	res, err = Replace(path, 0o600, func(old []byte) ([]byte, error) { return append(old, " two"...), nil })
	if err != nil || res.Way != Renamed {
		t.Fatalf("Replace = %+v, %v", res, err)
	}
	holds(t, dir, map[string]string{"credentials": "one two"})
	wantMode(t, path, 0o640)
}

func TestReplaceLeavesAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	put(t, path, "same", 0o600)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := Replace(path, 0o600, to("same")); err != nil || res.Way != Unchanged {
		t.Errorf("Replace with the same = %+v, %v, want Unchanged", res, err)
	}
	boom := errors.New("boom")
	if _, err := Replace(path, 0o600, func([]byte) ([]byte, error) { return []byte("x"), boom }); !errors.Is(err, boom) {
		t.Errorf("Replace whose edit fails = %v, want its error", err)
	}
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the file was written: %v, %v", after, err)
	}
	if res, err := Replace(filepath.Join(dir, "none"), 0o600, func([]byte) ([]byte, error) { return nil, nil }); err != nil || res.Way != Unchanged {
		t.Errorf("Replace of nothing with nothing = %+v, %v", res, err)
	}
	holds(t, dir, map[string]string{"f": "same"})
}

func TestReplaceErrors(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), "x", 0o600)
	for _, link := range [][2]string{{"loop", "loop"}, {"todir", "."}} {
		if err := os.Symlink(link[1], filepath.Join(dir, link[0])); err != nil {
			t.Skipf("no symbolic links: %v", err)
		}
	}
	for _, tt := range []struct{ name, path, want string }{
		{"directory", dir, "not a regular file"},
		{"link to a directory", filepath.Join(dir, "todir"), "not a regular file"},
		{"link to itself", filepath.Join(dir, "loop"), "too many symbolic links"},
		{"no such directory", filepath.Join(dir, "no", "f"), "no such file"},
		{"directory that is a file", filepath.Join(dir, "file", "f"), "not a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Replace(tt.path, 0o600, to("new"))
			if err == nil || !strings.HasPrefix(err.Error(), "replace "+dir) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Replace = %v, want an error with %q", err, tt.want)
			}
		})
	}
	if got, err := os.ReadFile(filepath.Join(dir, "file")); string(got) != "x" {
		t.Errorf("file = %q, %v", got, err)
	}
}

func TestReplaceFollowsLinks(t *testing.T) {
	for _, tt := range []struct {
		name   string
		link   string // what x/y/link says; the target is x/real/target
		exists bool
	}{
		{"relative", "../real/target", true},
		{"chain", "second", true},
		{"dangling", "../real/target", false},
		{"dangling chain", "second", false},
		// The kernel resolves ".." against what shortcut really is: x/real/sub.
		{"through a linked directory", "shortcut/../target", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			x := filepath.Join(root, "x")
			target := filepath.Join(x, "real", "target")
			for _, dir := range []string{"y", "real/sub"} {
				if err := os.MkdirAll(filepath.Join(x, dir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			for _, link := range [][2]string{{"link", tt.link}, {"second", target}, {"shortcut", "../real/sub"}} {
				if err := os.Symlink(link[1], filepath.Join(x, "y", link[0])); err != nil {
					t.Skipf("no symbolic links: %v", err)
				}
			}
			if tt.exists {
				put(t, target, "old", 0o644)
			}
			link := filepath.Join(x, "y", "link")
			res, err := Replace(link, 0o600, to("new"))
			if err != nil || res.Way != Renamed || res.Path != target {
				t.Fatalf("Replace = %+v, %v, want %s renamed", res, err, target)
			}
			if got, err := os.ReadFile(target); string(got) != "new" {
				t.Errorf("target = %q, %v", got, err)
			}
			if got, err := os.Readlink(link); got != tt.link {
				t.Errorf("the link now says %q, %v, want %q", got, err, tt.link)
			}
		})
	}
}

// Some readers look for a later time, not for another one: the clock may have
// been set back, and two writes may come within one tick of the file system.
func TestReplaceMovesTheTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, "", 0o600)
	last := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, time.Time{}, last); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, err := Replace(path, 0o600, to(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if !info.ModTime().After(last) {
			t.Fatalf("time of write %d = %s, not after %s", i, info.ModTime(), last)
		}
		last = info.ModTime()
	}
}

func TestReplaceSweepsLeftovers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, name := range []string{".f.brs-exec-0123456789abcdef.tmp", ".f.brs-exec-fedcba9876543210.tmp"} {
		put(t, filepath.Join(dir, name), "secret", 0o600)
	}
	others := map[string]string{".g.brs-exec-0123456789abcdef.tmp": "x", "f.tmp": "x", ".f.brs-exec-x.backup": "x", "f": "new"}
	for name := range others {
		put(t, filepath.Join(dir, name), "x", 0o600)
	}
	if _, err := Replace(path, 0o600, to("new")); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, others)
}

// Another program's edit between our reading and our renaming is not lost.
func TestReplaceSeesOthersEdits(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	put(t, path, "ours=old\n", 0o600)
	calls := 0
	edit := func(old []byte) ([]byte, error) {
		if calls++; calls <= 2 {
			put(t, path, string(old)+"theirs "+strconv.Itoa(calls)+"\n", 0o600)
		}
		return []byte(strings.Replace(string(old), "old", "new", 1)), nil
	}
	if _, err := Replace(path, 0o600, edit); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"f": "ours=new\ntheirs 1\ntheirs 2\n"})

	always := func(old []byte) ([]byte, error) {
		calls++
		put(t, path, strconv.Itoa(calls), 0o600)
		return []byte("x"), nil
	}
	if _, err := Replace(path, 0o600, always); err == nil || !strings.Contains(err.Error(), "keep changing it") {
		t.Errorf("Replace of a file that changes each time = %v, want an error", err)
	}
	holds(t, dir, map[string]string{"f": strconv.Itoa(calls)})
}

// Writers in this and in other processes lose no edit of each other's.
func TestReplaceConcurrently(t *testing.T) {
	const processes, goroutines, each = 3, 4, 20
	dir := t.TempDir()
	path := filepath.Join(dir, "n")
	put(t, path, "0", 0o600)
	var wg sync.WaitGroup
	for range processes {
		cmd := helper(t, "count", path, strconv.Itoa(each))
		wg.Go(func() {
			if err := cmd.Run(); err != nil {
				t.Errorf("process: %v", err)
			}
		})
	}
	for range goroutines {
		wg.Go(func() {
			for range each {
				if err := increment(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	holds(t, dir, map[string]string{"n": strconv.Itoa((processes + goroutines) * each)})
}

// Killed at any moment, a writer leaves the old file or the new one, and what
// else it leaves goes with the next write.
func TestReplaceKilled(t *testing.T) {
	kills := 25
	if testing.Short() {
		kills = 5
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	put(t, path, string(setOf(1)), 0o600)
	done := make(chan struct{})
	var wg sync.WaitGroup
	reads := make([]int, 3)
	for i := range reads {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				data, err := os.ReadFile(path)
				if err != nil || !wholeSet(data) {
					t.Errorf("read %d bytes that are no whole set, %v", len(data), err)
					return
				}
				reads[i]++
			}
		})
	}
	for i := range kills {
		cmd, _, _ := startHelper(t, "rewrite", path)
		// A few milliseconds, another moment each time.
		timer := time.NewTimer(time.Duration(i*i%17) * 700 * time.Microsecond)
		<-timer.C
		cmd.Process.Kill()
		cmd.Wait()
	}
	close(done)
	wg.Wait()
	if _, err := Replace(path, 0o600, to("end")); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"f": "end"})
	t.Logf("%d kills, reads %v", kills, reads)
}

func BenchmarkReplace(b *testing.B) {
	for _, size := range []int{1 << 10, 517 << 10} {
		b.Run(strconv.Itoa(size>>10)+"KB", func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "f")
			content := []byte(strings.Repeat("x", size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				content[0] = byte(i)
				if _, err := Replace(path, 0o600, func([]byte) ([]byte, error) { return content, nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
