//go:build unix

package plan

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh/source"
)

// watched is a list that is watched in virtual time: touched is called for what a person does to a
// file, and told has what the run was told.
type watched struct {
	t    *testing.T
	dir  string
	look []func()

	mu      sync.Mutex
	told    []string
	refused bool // no list can be used
}

func watch(t *testing.T, files map[string]string) *watched {
	t.Helper()
	w := &watched{t: t, dir: world(t, files)}
	p, err := planOf(w.dir, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	p.With(source.Names{Command: "job"}, nil, func(context.Context, string) (string, error) { return "", nil })
	p.List.watchFile = func(ctx context.Context, _ string, changed func()) {
		w.look = append(w.look, changed)
		<-ctx.Done()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		p.List.Watch(ctx, func(profiles []Profile, err error) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			if err != nil {
				w.told = append(w.told, strings.ReplaceAll(err.Error(), w.dir+"/", ""))
				return false
			}
			var all []string
			for _, one := range profiles {
				if one.Source.Names.Command != "job" || one.Source.Prompt == nil || one.Source.Names.Profile != one.Name {
					t.Errorf("%s lacks what the process knows", one.Name)
				}
				all = append(all, one.Name)
			}
			w.told = append(w.told, strings.Join(all, " "))
			return !w.refused
		})
	}()
	w.pass(time.Minute)
	return w
}

// write writes a file, and tells of it.
func (w *watched) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.look[0]()
}

func (w *watched) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// expect holds what was told since the last call.
func (w *watched) expect(step string, want ...string) {
	w.t.Helper()
	w.pass(2 * quiet)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.told, want) {
		w.t.Errorf("%s: (-want +got)\n%s", step, cmp.Diff(want, w.told))
	}
	w.told = nil
}

// TestWatchFile: what becomes of a list whose file changes.
func TestWatchFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, map[string]string{
			"F.yaml": "profiles:\n- name: fixed\n- name: a-{x}\n  region: '{y}'\n  for-each: {file: a.csv}\n", "a.csv": "x,y\n1,r\n2,r\n",
		})
		w.expect("nothing has happened")
		w.write("a.csv", "x,y\n1,r\n2,r\n3,r\n")
		w.expect("one more", "fixed a-1 a-2 a-3")
		w.write("a.csv", "# the same\nx,y\n1,r\n2,r\n3,r\n")
		w.expect("the same list")
		w.write("a.csv", "x,y\n1,r\n")
		w.pass(quiet / 2)
		w.write("a.csv", "x,y\n1,r\n3,r\n")
		w.expect("half of it, then all", "fixed a-1 a-3")
		w.write("a.csv", "x,y\n1,r\n3,q\n")
		w.expect("another region", "fixed a-1 a-3")
		w.write("a.csv", "x,y\n")
		w.expect("none", "a.csv: has no rows")
		w.write("a.csv", "x,y\n")
		w.expect("none again")
		w.write("a.csv", "x,y\n1,r\n3,no region\n")
		w.expect("a bad row", `a.csv:3: --region "no region": not a region (--region is from F.yaml:4)`)
		if err := os.Remove(filepath.Join(w.dir, "a.csv")); err != nil {
			t.Fatal(err)
		}
		w.look[0]()
		w.expect("gone", "a.csv: no such file or directory")
		w.write("a.csv", "x,y\n1,r\n3,q\n")
		w.expect("as before", "fixed a-1 a-3")
	})
}

// TestWatchCommand: what becomes of a list whose command says something else, and of its file
// while the command fails.
func TestWatchCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, map[string]string{
			"F.yaml": "profiles:\n- name: a-{x}\n  for-each: {file: a.csv}\n- name: b-{x}\n  for-each:\n    command: cat DIR/list\n    every: 10m\n",
			"a.csv":  "x\n1\n", "list": `{"x": 1}`,
		})
		w.expect("nothing has happened")
		w.write("list", `{"x": 1} {"x": 2}`)
		w.expect("not yet")
		w.pass(10 * time.Minute)
		w.expect("when it is run again", "a-1 b-1 b-2")
		if err := os.Remove(filepath.Join(w.dir, "list")); err != nil {
			t.Fatal(err)
		}
		w.pass(10 * time.Minute)
		w.expect("it fails", "F.yaml:5: command cat: exit status 1")
		w.pass(time.Hour)
		w.expect("it fails again")
		w.write("a.csv", "x\n1\n2\n")
		w.expect("the file can change meanwhile", "a-1 a-2 b-1 b-2", "F.yaml:5: command cat: exit status 1")
		w.write("a.csv", "y\n1\n")
		w.expect("and be wrong", "F.yaml:2: name: {x}: no such placeholder")
		w.write("a.csv", "x\n1\n2\n")
		w.expect("and right", "F.yaml:5: command cat: exit status 1")
		w.write("list", `{"x": 1} {"x": 2}`)
		w.pass(10 * time.Minute)
		w.expect("all is well", "a-1 a-2 b-1 b-2")
	})
}

// TestSameSource: functions are no difference, names are.
func TestSameSource(t *testing.T) {
	t.Parallel()
	p := &Plan{Profiles: []Profile{{Name: "a"}, {Name: "b"}}}
	p.With(source.Names{}, os.Stderr, func(context.Context, string) (string, error) { return "", nil })
	q := &Plan{Profiles: []Profile{{Name: "a"}}}
	q.With(source.Names{}, os.Stderr, func(context.Context, string) (string, error) { return "x", nil })
	if a := p.Profiles[0]; !a.SameSource(q.Profiles[0]) || a.SameSource(p.Profiles[1]) {
		t.Error("the same source is another one, or the other way round")
	}
}

// TestWatchRefused: a list that could not be used is told again until it is, or another one.
func TestWatchRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, map[string]string{"F.yaml": "profiles:\n- name: a-{x}\n  for-each: {file: a.csv}\n", "a.csv": "x\n1\n"})
		refuse := func(is bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.refused = is
		}
		refuse(true)
		w.write("a.csv", "x\n1\n2\n")
		w.expect("the first time", "a-1 a-2", "a-1 a-2") // and a second later
		w.pass(time.Hour)
		w.mu.Lock()
		if n := len(w.told); n < 60 || n > 66 {
			t.Errorf("told %d times in an hour, want about one each minute", n)
		}
		w.told = nil
		w.mu.Unlock()
		refuse(false)
		w.pass(maxAgain)
		w.expect("once it can be used", "a-1 a-2")
		w.pass(time.Hour)
		w.expect("nothing has happened since")
		refuse(true)
		w.write("a.csv", "x\n3\n")
		w.expect("another", "a-3", "a-3")
		refuse(false)
		w.write("a.csv", "x\n1\n2\n")
		w.expect("the one in force", "a-1 a-2")
		w.pass(time.Hour)
		w.expect("and nothing more")
	})
}
