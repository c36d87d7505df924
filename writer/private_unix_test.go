//go:build unix

package writer

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/process"
	"brs-exec.example/brs-exec/writer/rundir"
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
	t.Run("one profile", func(t *testing.T) {
		killed(t, "private", func(dir string) bool {
			p := &Private{plan: &plan{}, path: dir}
			return readersAgree(t, p)
		}, "again and again")
	})
	t.Run("profiles that come and go", func(t *testing.T) {
		killed(t, "many", func(dir string) bool { return manyAgree(t, dir) })
	})
}

func killed(t *testing.T, helper string, agree func(dir string) bool, args ...string) {
	in := openBase(t)
	kills := 15
	if testing.Short() {
		kills = 3
	}
	for i := range kills {
		cmd, _, dir := startHelper(t, helper, append([]string{in}, args...)...)
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
					if !agree(dir) {
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
		if !agree(dir) {
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

// manyAgree tells whether the profiles that stay are whole in all files, and none is older in
// its state than it was in the credentials file.
func manyAgree(t *testing.T, dir string) bool {
	t.Helper()
	config := ini.Read([]byte(read(t, filepath.Join(dir, configFile))))
	file := ini.Read([]byte(read(t, filepath.Join(dir, credentialsFile))))
	for _, name := range []string{"default", "a", "b"} {
		if !config.HasHeader(ini.ConfigHeaders(name)[0]) {
			t.Errorf("the config file has no %s", name)
			return false
		}
		var keys [3]string
		for i, key := range ini.Keys[:3] {
			keys[i], _ = file.Value(name, key)
		}
		inFile, ok1 := setNumber(keys)
		line, err := process.OutputOf(dir, strings.TrimPrefix(name, "default"), time.Now())
		var out struct{ AccessKeyID, SecretAccessKey, SessionToken string }
		if err == nil {
			err = json.Unmarshal(line, &out)
		}
		inState, ok2 := setNumber([3]string{out.AccessKeyID, out.SecretAccessKey, out.SessionToken})
		if err != nil || !ok1 || !ok2 || inState < inFile {
			t.Errorf("%s: file %v, then state %v, %v", name, keys, out, err)
			return false
		}
	}
	return true
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
					rundir.Sweep([]string{in})
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
