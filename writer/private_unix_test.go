//go:build unix

package writer

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/writer/process"
	"brs-exec/writer/rundir"
)

// Whatever the umask, only the user can enter the directory and read what is
// in it.
func TestPrivateModes(t *testing.T) {
	t.Parallel()
	in := openBase(t)
	_, _, dir := startHelper(t, "umask", in)
	want := map[string]fs.FileMode{
		dir: fs.ModeDir | 0o700, dir + "/lock": 0o600, dir + "/config": 0o600, dir + "/credentials": 0o600, dir + "/state": 0o600,
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode() != want[path] {
			t.Errorf("mode of %s = %v, want %v", path, info.Mode(), want[path])
		}
		delete(want, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

// A pipe would wait for a writer, and lose for the child what it gives us.
func TestPrivateReadsNoPipe(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "config")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := NewPrivate(Options{Mode: File, ConfigFile: pipe, Dirs: []string{plainDir(t)}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if notes := p.Notes(); len(notes) != 1 || !strings.Contains(notes[0], pipe+" is not a regular file") {
		t.Errorf("notes = %q", notes)
	}
}

// Killed at any moment while it delivers, it leaves whole files, which can be
// used until the credentials expire, and until the next one starts.
func TestPrivateKilled(t *testing.T) {
	t.Parallel()
	in := openBase(t)
	kills := 15
	if testing.Short() {
		kills = 3
	}
	for i := range kills {
		cmd, _, dir := startHelper(t, "private", in, "again and again")
		p := &Private{plan: &plan{}, path: dir}
		done := make(chan struct{})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					if !readersAgree(t, p) {
						return
					}
				}
			})
		}
		timer := time.NewTimer(time.Duration(i*i%13) * time.Millisecond)
		<-timer.C
		cmd.Process.Kill()
		cmd.Wait()
		close(done)
		wg.Wait()
		if !readersAgree(t, p) {
			break
		}
		if _, err := process.Output(dir, time.Now()); err != nil {
			t.Error(err)
		}
	}
	rundir.Sweep([]string{in})
	if got := names(t, in); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
}

// Another run that sweeps may be the one that removes an emptied directory.
func TestPrivateCloseBesideASweep(t *testing.T) {
	t.Parallel()
	in := openBase(t)
	for range 100 {
		p, err := NewPrivate(Options{Mode: File, Dirs: []string{in}})
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan struct{})
		var sweeping sync.WaitGroup
		sweeping.Go(func() {
			for {
				select {
				case <-closed:
					return
				default:
					p.Sweep()
				}
			}
		})
		err = p.Close()
		close(closed)
		sweeping.Wait()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestPrivateCloseRemovesAll(t *testing.T) {
	t.Parallel()
	in := openBase(t)
	p, err := NewPrivate(Options{Mode: File, Dirs: []string{in}})
	if err == nil {
		err = deliver(p, numbered(1))
	}
	if err != nil {
		t.Fatal(err)
	}
	// Others put their files there too.
	put(t, p.Dir()+"/token", "x", 0o600)
	if err := os.MkdirAll(p.Dir()+"/sub/dir", 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := names(t, in); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
}
