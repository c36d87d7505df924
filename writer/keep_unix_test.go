//go:build unix

package writer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/writer/process"
	"brs-exec.example/brs-exec/writer/writertest"
)

// kept is a Private in a directory that others can write to, and what it told.
func kept(t *testing.T) (p *Private, told *[]string) {
	t.Helper()
	base := openBase(t)
	if err := os.Chmod(base, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	told = new([]string)
	p, err := newPrivate(t, userConfig, userCredentials, Options{Executable: "/usr/bin/odd name", Dirs: []string{base}, Notify: func(note string, err error) {
		if err != nil {
			note = "FAILED: " + err.Error()
		}
		*told = append(*told, note)
	}})
	if err == nil {
		_, perr := p.Put("token", []byte("x"))
		err = errors.Join(perr, deliver(p, numbered(1)), putExtra(p))
	}
	if err != nil {
		t.Fatal(err)
	}
	return p, told
}

// TestKeep: what was removed is made again, and that is told.
func TestKeep(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		remove func(dir string) error
	}{
		{"the directory", os.RemoveAll},
		{"the state", func(dir string) error { return os.Remove(filepath.Join(dir, process.StateFile)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, told := kept(t)
			want := writertest.Contents(t, p.Dir())
			if err := tt.remove(p.Dir()); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				p.look()
			}
			if diff := cmp.Diff(want, writertest.Contents(t, p.Dir())); diff != "" {
				t.Errorf("made again (-was +is):\n%s", diff)
			}
			if len(*told) != 1 || !strings.Contains((*told)[0], "was made again") {
				t.Errorf("told %q, want once", *told)
			}
			if err := deliver(p, numbered(2)); err != nil {
				t.Error(err)
			}
			if !readersAgree(t, p) {
				t.Error("after the next credentials")
			}
		})
	}
}

// TestKeepLooks: it is noticed in time, and also by the next credentials.
func TestKeepLooks(t *testing.T) {
	t.Parallel()
	p, told := kept(t)
	synctest.Test(t, func(t *testing.T) {
		go p.Keep(t.Context())
		time.Sleep(50 * time.Second) // between two looks
		if err := os.RemoveAll(p.Dir()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if _, err := os.Stat(filepath.Join(p.Dir(), configFile)); err != nil || len(*told) != 1 {
			t.Errorf("half a minute later: %v, told %q", err, *told)
		}
	})
	if err := os.RemoveAll(p.Dir()); err != nil {
		t.Fatal(err)
	}
	if err := deliver(p, numbered(5)); err != nil || !readersAgree(t, p) {
		t.Errorf("the next credentials: %v", err)
	}
}

// TestKeepSweeps: what a killed run has left goes, and what lives stays.
func TestKeepSweeps(t *testing.T) {
	t.Parallel()
	p, _ := kept(t)
	killed := filepath.Join(filepath.Dir(p.Dir()), "brs-exec-1-0123456789abcdef")
	if err := os.Mkdir(killed, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(killed, "lock"), "4194304 5\n", 0o600)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Keep(ctx); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(killed); err == nil {
		t.Error("what the killed run has left is there")
	}
	if _, err := os.Stat(p.Dir()); err != nil {
		t.Error(err)
	}
}

// extraFile is one that the run has besides.
const extraFile = "extra"

func putExtra(p *Private) error {
	_, err := p.Put(extraFile, []byte("{}\n"))
	return err
}

// TestKeepTaken: somebody else has taken the name. Nothing of ours goes there, and it
// is said once until the name is free.
func TestKeepTaken(t *testing.T) {
	t.Parallel()
	p, told := kept(t)
	victim := filepath.Join(openBase(t), "authorized_keys")
	put(t, victim, "mine", 0o644)
	err := errors.Join(os.RemoveAll(p.Dir()), os.Mkdir(p.Dir(), 0o777))
	for _, name := range []string{configFile, process.StateFile, credentialsFile, extraFile, "lock"} {
		err = errors.Join(err, os.Symlink(victim, filepath.Join(p.Dir(), name)))
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		p.look()
		if err := deliver(p, numbered(2+i)); err == nil {
			t.Error("Deliver: no error")
		}
		if err := putExtra(p); err == nil {
			t.Error("Put: no error")
		}
	}
	holds(t, filepath.Dir(victim), map[string]string{filepath.Base(victim): "mine"})
	if len(*told) != 1 || !strings.HasPrefix((*told)[0], "FAILED: ") {
		t.Errorf("told %q, want a failure, once", *told)
	}
	if err := os.RemoveAll(p.Dir()); err != nil {
		t.Fatal(err)
	}
	p.look()
	if err := deliver(p, numbered(9)); err != nil || !readersAgree(t, p) || len(*told) != 2 {
		t.Errorf("when the name is free: %v, told %q", err, *told)
	}
}

// The command may change its configuration.
func TestKeepLeavesChanges(t *testing.T) {
	t.Parallel()
	p, told := kept(t)
	config := filepath.Join(p.Dir(), configFile)
	put(t, config, "[default]\nregion = xx\n", 0o600)
	p.look()
	if err := deliver(p, numbered(2)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, config); got != "[default]\nregion = xx\n" || len(*told) > 0 {
		t.Errorf("config = %q, told %q", got, *told)
	}
}

// A run directory that has vanished is not missed at the end, and one that is
// somebody else's now is left alone.
func TestCloseOfWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	p, _ := kept(t)
	other := func() error {
		if err := os.Rename(p.Dir(), p.Dir()+"-gone"); err != nil {
			return err
		}
		return os.Mkdir(p.Dir(), 0o700)
	}
	if err := other(); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	before := p.LastReads("")
	p.look()
	if err := errors.Join(deliver(p, numbered(3)), putExtra(p)); !errors.Is(err, os.ErrClosed) || p.LastReads("") != before {
		t.Errorf("after Close: %v", err)
	}
	if got := fmt.Sprint(names(t, filepath.Dir(p.Dir()))); got != fmt.Sprintf("[%s %[1]s-gone]", filepath.Base(p.Dir())) {
		t.Errorf("left: %v", got)
	}
	if got := names(t, p.Dir()+"-gone"); len(got) > 0 {
		t.Errorf("in what was ours: %v", got)
	}
}
