package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
)

func newCache(t *testing.T) *Cache {
	t.Helper()
	c, err := Open(filepath.Join(t.TempDir(), "share"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var testKey = keyOf("a")

func keyOf(s string) Key {
	h := NewHasher("test")
	h.Add(s)
	return h.Key()
}

func set(n int, left time.Duration) Set {
	return Set{
		AccessKeyID: fmt.Sprint("ASIA", n), SecretAccessKey: "secret", SessionToken: "token", AccountID: "123456789012", Source: "AssumeRole",
		Expires: time.Now().Add(left).Round(0).UTC(), Skew: time.Minute, Lifetime: left, Identity: "arn:aws:sts::1:assumed-role/R/S", Session: "S",
	}
}

func never() bool { return false }

func take(t *testing.T, c *Cache, k Key) *Turn {
	t.Helper()
	turn, err := c.Turn(t.Context(), k, Waiting{Ready: never, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return turn
}

func TestPutGet(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	if _, err := c.Get(testKey); !errors.Is(err, ErrNone) {
		t.Fatalf("an empty cache: %v", err)
	}
	turn := take(t, c, testKey)
	defer turn.Done()
	wrote, err := turn.Put(set(1, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Get(testKey)
	if err != nil {
		t.Fatal(err)
	}
	got.Retrieved, wrote.Retrieved = got.Retrieved.UTC(), wrote.Retrieved.UTC()
	if diff := cmp.Diff(wrote, got); diff != "" || got.ID == "" {
		t.Errorf("(-wrote +got)\n%s", diff)
	}
	if left := got.Left(time.Now()); left < time.Hour || left > time.Hour+2*time.Minute {
		t.Errorf("%v are left, want an hour and the skew", left)
	}
	if _, err := c.Get(keyOf("b")); !errors.Is(err, ErrNone) {
		t.Errorf("another key: %v", err)
	}
	again, err := turn.Put(set(1, time.Hour))
	if err != nil || again.ID == wrote.ID {
		t.Errorf("the same written again has the same id: %v", err)
	}
}

// TestMoved: an entry under the name of another key is none.
func TestMoved(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	turn := take(t, c, testKey)
	defer turn.Done()
	if _, err := turn.Put(set(1, time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(c.path, string(testKey)), filepath.Join(c.path, string(keyOf("b")))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(keyOf("b")); !errors.Is(err, errBroken) {
		t.Errorf("it is believed: %v", err)
	}
}

func TestHasher(t *testing.T) {
	t.Parallel()
	seen := map[Key]string{}
	for name, add := range map[string]func(*Hasher){
		"nothing":        func(*Hasher) {},
		"one":            func(h *Hasher) { h.Add("a", "bc") },
		"other cut":      func(h *Hasher) { h.Add("ab", "c") },
		"two values":     func(h *Hasher) { h.Add("a", "b", "c") },
		"two settings":   func(h *Hasher) { h.Add("a", "b"); h.Add("c") },
		"no value":       func(h *Hasher) { h.Add("a") },
		"empty value":    func(h *Hasher) { h.Add("a", "") },
		"two empty ones": func(h *Hasher) { h.Add("a", "", "") },
		"a line":         func(h *Hasher) { h.Add("a", "b\n1 c") },
	} {
		h := NewHasher("test")
		add(h)
		k := h.Key()
		if other, twice := seen[k]; twice || !k.valid() {
			t.Errorf("%s and %s have the key %s", name, other, k)
		}
		seen[k] = name
	}
	if NewHasher("a").Key() == NewHasher("b").Key() {
		t.Error("two kinds have one key")
	}
}

// TestOneAsks: of many that come at once, one has the turn, and the others what it wrote.
func TestOneAsks(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	var asked atomic.Int32
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			turn, err := c.Turn(t.Context(), testKey, Waiting{Patience: time.Minute, Ready: func() bool {
				_, err := c.Get(testKey)
				return err == nil
			}})
			if err != nil {
				t.Error(err)
			}
			if turn == nil {
				return
			}
			defer turn.Done()
			asked.Add(1)
			if _, err := turn.Put(set(1, time.Hour)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("%d asked", n)
	}
}

// TestHung: a process that hangs loses its turn to one of those who wait, and what it writes
// in the end does not replace what serves longer.
func TestHung(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	hung := take(t, c, testKey)
	defer hung.Done()
	var held, asked atomic.Int32
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			turn, err := c.Turn(t.Context(), testKey, Waiting{
				Patience: 50 * time.Millisecond,
				Ready:    func() bool { _, err := c.Get(testKey); return err == nil },
				Held: func(pid int) {
					if held.Add(1); pid != os.Getpid() {
						t.Errorf("process %d has its turn", pid)
					}
				},
			})
			if err != nil {
				t.Error(err)
			}
			if turn != nil {
				asked.Add(1)
				turn.Put(set(2, time.Hour))
				turn.Done()
			}
		})
	}
	all.Wait()
	if asked.Load() != 1 || held.Load() == 0 {
		t.Errorf("%d asked after %d were told of the one that hangs", asked.Load(), held.Load())
	}
	hung.Put(set(1, time.Minute))
	if got, err := c.Get(testKey); err != nil || got.AccessKeyID != "ASIA2" {
		t.Errorf("%s is there: %v", got.AccessKeyID, err)
	}
	hung.Put(set(3, 2*time.Hour))
	if got, err := c.Get(testKey); err != nil || got.AccessKeyID != "ASIA3" {
		t.Errorf("%s is there, and not what serves longer: %v", got.AccessKeyID, err)
	}
}

func TestTurnEnds(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	turn := take(t, c, testKey)
	defer turn.Done()
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("waited long enough")
	_, err := c.Turn(ctx, testKey, Waiting{Ready: never, Patience: time.Hour, Held: func(int) { cancel(cause) }})
	if !errors.Is(err, cause) {
		t.Errorf("when ctx ends: %v", err)
	}
	other := take(t, c, keyOf("b")) // another key has turns of its own
	other.Done()
}

// TestAwait: one that cannot ask waits for one that can, and not for nobody.
func TestAwait(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	ready := func() bool { _, err := c.Get(testKey); return err == nil }
	turn := take(t, c, testKey)
	asked := make(chan struct{})
	got := make(chan bool)
	go func() {
		got <- c.Await(t.Context(), testKey, Waiting{Ready: ready, Patience: time.Minute, Held: func(int) { close(asked) }})
	}()
	<-asked
	if _, err := turn.Put(set(1, time.Hour)); err != nil {
		t.Fatal(err)
	}
	turn.Done()
	if !<-got {
		t.Error("has not waited for the entry")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c.Await(ctx, keyOf("b"), Waiting{Ready: never, Patience: time.Minute}) {
		t.Error("there is an entry of nobody")
	}
	hung := take(t, c, keyOf("b"))
	defer hung.Done()
	if c.Await(t.Context(), keyOf("b"), Waiting{Ready: never, Patience: time.Millisecond}) {
		t.Error("there is an entry of one that hangs")
	}
}

// TestCrash: whatever a process was killed at, the next one reads what is whole, and writes.
func TestCrash(t *testing.T) {
	t.Parallel()
	whole, _, err := encode(testKey, stored{Set: set(1, time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, text []byte) func(*Cache) error {
		return func(c *Cache) error { return os.WriteFile(filepath.Join(c.path, name), text, 0o600) }
	}
	key := string(testKey)
	tests := []struct {
		name  string
		steps []func(*Cache) error // that it came to
		want  string               // key id of the entry; "": there is none
	}{
		{"lock made", []func(*Cache) error{file(key+".lock", nil)}, ""},
		{"lock signed in part", []func(*Cache) error{file(key+".lock", []byte("12"))}, ""},
		{"new entry made", []func(*Cache) error{file(key+".lock", nil), file(key+".tmp", nil)}, ""},
		{"new entry in part", []func(*Cache) error{file(key+".lock", nil), file(key+".tmp", whole[:99])}, ""},
		{"new entry whole", []func(*Cache) error{file(key+".lock", nil), file(key+".tmp", whole)}, ""},
		{"entry renamed", []func(*Cache) error{file(key+".lock", nil), file(key, whole)}, "ASIA1"},
		{"in place of another, in part", []func(*Cache) error{file(key, whole), file(key+".tmp", whole[:99])}, "ASIA1"},
		{"a crash of the machine", []func(*Cache) error{file(key, bytes.Repeat([]byte{0}, len(whole)))}, ""},
		{"a turn taken away in part", []func(*Cache) error{file(guardFile, nil), file(key+".next", nil), file(key+".lock", nil)}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCache(t)
			for _, step := range tt.steps {
				if err := step(c); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := c.Get(testKey); got.AccessKeyID != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("%q is there, want %q: %v", got.AccessKeyID, tt.want, err)
			}
			turn := take(t, c, testKey)
			defer turn.Done()
			if _, err := turn.Put(set(2, time.Hour)); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Get(testKey); err != nil || got.AccessKeyID != "ASIA2" {
				t.Errorf("afterwards %q is there: %v", got.AccessKeyID, err)
			}
		})
	}
}

// TestVanished: the directory may be taken away at any time.
func TestVanished(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("open files keep a directory there")
	}
	c := newCache(t)
	turn := take(t, c, testKey)
	if err := os.RemoveAll(c.path); err != nil {
		t.Fatal(err)
	}
	if _, err := turn.Put(set(1, time.Hour)); err == nil {
		t.Error("wrote into a directory that is gone")
	}
	turn.Done()
	turn = take(t, c, testKey)
	defer turn.Done()
	if _, err := turn.Put(set(1, time.Hour)); err != nil {
		t.Error(err)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	old := time.Now().Add(-2 * time.Hour)
	for i, left := range []time.Duration{-time.Hour, time.Hour} {
		k := keyOf(fmt.Sprint("old", i))
		text, _, _ := encode(k, stored{Set: set(i, left)})
		path := filepath.Join(c.path, string(k))
		if err := errors.Join(os.WriteFile(path, text, 0o600), os.WriteFile(path+".lock", nil, 0o600), os.Chtimes(path, old, old)); err != nil {
			t.Fatal(err)
		}
	}
	turn := take(t, c, testKey)
	turn.Put(set(1, time.Hour))
	turn.Done()
	entries, _ := os.ReadDir(c.path)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	has := func(k Key) bool { return strings.Contains(strings.Join(names, " "), string(k)) }
	if has(keyOf("old0")) && runtime.GOOS != "windows" || !has(keyOf("old1")) || !has(testKey) {
		t.Errorf("there are %q", names)
	}
}

// TestStepped: a clock that is set after an entry was written changes its skew, not its expiry.
func TestStepped(t *testing.T) {
	t.Parallel()
	boot := sinceBoot()
	if boot == 0 {
		t.Skip("NOT TESTED: there is no clock that nobody sets")
	}
	tests := []struct {
		name string
		e    stored
		want time.Duration
	}{
		{"just now", stored{Set{Retrieved: time.Now()}, boot}, 0},
		{"an hour ago", stored{Set{Retrieved: time.Now().Add(-time.Hour)}, boot - time.Hour}, 0},
		{"set ahead", stored{Set{Retrieved: time.Now().Add(-time.Hour)}, boot}, time.Hour},
		{"set back", stored{Set{Retrieved: time.Now().Add(time.Hour)}, boot}, -time.Hour},
		{"another boot", stored{Set{Retrieved: time.Now().Add(-time.Hour)}, boot + 24*time.Hour}, 0},
		{"unknown", stored{Set{Retrieved: time.Now().Add(-time.Hour)}, 0}, 0},
	}
	for _, tt := range tests {
		if got := stepped(tt.e); (got - tt.want).Abs() > time.Second {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestWatch: what another process writes is told to who wants to know of that key.
func TestWatch(t *testing.T) {
	t.Parallel()
	w, err := fsnotify.NewWatcher()
	if err != nil {
		t.Skip("NOT TESTED: there are no watches left")
	}
	w.Close()
	c := newCache(t)
	other := &Cache{path: c.path} // as of another process
	came := make(chan string, 10000)
	stopA := c.Watch(func() Key { return testKey }, func() { came <- "a" })
	stopB := c.Watch(func() Key { return keyOf("b") }, func() { came <- "b" })
	for range 2 { // all are told when the watch begins
		<-came
	}
	for _, k := range []string{"b", "a"} {
		for first := ""; first != k; { // the watch may not have begun
			turn := take(t, other, keyOf(k))
			turn.Put(set(1, time.Hour))
			turn.Done()
			select {
			case first = <-came:
				if k == "b" && first != k { // later, what was written for b may still be told
					t.Fatalf("tells of %s", first)
				}
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	stopA()
	stopB()
	c.watch.mu.Lock()
	defer c.watch.mu.Unlock()
	if c.watch.stop != nil {
		t.Error("watches for nobody")
	}
}

func FuzzDecode(f *testing.F) {
	whole, _, _ := encode(testKey, stored{Set: set(1, time.Hour)})
	f.Add(whole)
	f.Add(whole[:50])
	f.Add([]byte(magic + "\n{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if e, err := decode(testKey, text); err == nil && e.ID == "" {
			t.Error("an entry without an id")
		}
	})
}

// TestCheck: it says what Open would find, of the parents in a home as well, and makes nothing.
func TestCheck(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	path := filepath.Join(home, "caches", "brs-exec", "share")
	if err := (&Cache{path: path}).usable(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in no directory: %v", err)
	}
	c := &Cache{path: path, inHome: true}
	if err := c.usable(); err != nil {
		t.Errorf("in a home: %v", err)
	}
	if left, err := os.ReadDir(home); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := c.make(); err != nil {
		t.Errorf("made: %v", err)
	}
	for _, dir := range []string{path, filepath.Join(home, "share")} {
		if err := Check(dir); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if err := Check("share"); err == nil {
		t.Error("a relative path is good")
	}
}
