package metrics

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"brs-exec.example/brs-exec/refresh"
)

// TestFile: the file is written at the start, after events, and at the end, always
// whole and for others to read.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "job.prom")
	read := func() string {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		parsed(t, text)
		return string(text)
	}
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{Name: "job", Profiles: []string{"a"}})
		f, err := CreateFile(path, m)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != fileMode {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if got := read(); !strings.Contains(got, `brs_exec_run_ready{name="job"} 0`) {
			t.Errorf("at the start:\n%s", got)
		}
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		m.Engine(refresh.Event{Kind: refresh.Refreshed, Profile: "a", Time: time.Now(), Expires: time.Now().Add(time.Hour)})
		time.Sleep(gather)
		synctest.Wait()
		if got := read(); !strings.Contains(got, `brs_exec_run_ready{name="job"} 1`) {
			t.Errorf("after a refresh:\n%s", got)
		}
		before, _ := os.Stat(path)
		for range 100 { // a burst is one write
			m.Engine(refresh.Event{Kind: refresh.Failed, Profile: "a", Attempt: 1})
		}
		time.Sleep(pause)
		synctest.Wait()
		if now, _ := os.Stat(path); !os.SameFile(before, now) {
			t.Error("written too soon")
		}
		time.Sleep(pauseProfile)
		synctest.Wait()
		if got := read(); !strings.Contains(got, `class="other",name="job",profile="a"} 100`) {
			t.Errorf("after failures:\n%s", got)
		}
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
		m.End(7)
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if got := read(); !strings.Contains(got, `brs_exec_run_exit_code{name="job"} 7`) {
			t.Errorf("at the end:\n%s", got)
		}
	})
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

// TestFileOfOthers: what brs-exec has not written is left alone.
func TestFileOfOthers(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"text.prom":    "precious",
		"metrics.prom": "# HELP x y\n# TYPE x gauge\nx 1\n",
		"short.prom":   mark[:10],
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := CreateFile(path, New(Options{})); err == nil || !strings.Contains(err.Error(), "has not written") {
			t.Errorf("%s: %v", name, err)
		}
		if text, _ := os.ReadFile(path); string(text) != content {
			t.Errorf("%s holds %q", name, text)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "no", "x.prom")} {
		if _, err := CreateFile(path, New(Options{})); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
	empty := filepath.Join(dir, "empty.prom") // as of mktemp
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and ours
		if _, err := CreateFile(empty, New(Options{})); err != nil {
			t.Errorf("an empty one: %v", err)
		}
	}
}
