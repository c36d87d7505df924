package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"brs-exec.example/brs-exec/writer/filelock"
	"brs-exec.example/brs-exec/writer/pathsafe"
)

// Turn is that of this process to ask for what a key names.
type Turn struct {
	cache *Cache
	dir   *os.Root
	key   Key
	lock  *os.File
}

// Waiting says how to wait for a turn.
type Waiting struct {
	// Ready tells whether the turn is not needed any more, because another process has
	// written an entry that will do. It is asked again and again.
	Ready func() bool

	// Patience is how long another process may have its turn. One that is stopped, or
	// hangs, loses it then, to one of those who wait.
	Patience time.Duration

	// Held is called, if not nil, once another process is found to have its turn. pid is
	// 0 if it is not known.
	Held func(pid int)
}

// errTaken is another process's turn.
var errTaken = errors.New("another process has its turn")

// guardFile has a name that no file of the user's has: one that is not ours makes way.
const guardFile = "brs-exec-share.steal"

const (
	// A process that waits is late by a tenth of what it has waited, within these.
	minPoll, maxPoll = time.Millisecond, 100 * time.Millisecond

	// beginning is how long a process that cannot ask waits for one that can.
	beginning = 3 * time.Second
)

// Turn waits until it is this process's turn to ask. It returns nil, and no error, once
// w.Ready; an error that is ctx's if that ends before; filelock.ErrNoLocks, and what else
// keeps processes from taking turns.
func (c *Cache) Turn(ctx context.Context, key Key, w Waiting) (*Turn, error) {
	var since time.Time // since when the turn is of the same process
	var of string
	held := w.Held
	for began := time.Now(); ; {
		if w.Ready() {
			return nil, nil
		}
		t, text, err := c.try(key)
		if err == nil {
			if w.Ready() { // it was written before the turn was given up
				t.Done()
				return nil, nil
			}
			return t, nil
		}
		if !errors.Is(err, errTaken) {
			return nil, err
		}
		if held != nil {
			pid, _ := filelock.Holder([]byte(text))
			held(pid)
			held = nil
		}
		if now := time.Now(); since.IsZero() || of != text {
			since, of = now, text
		} else if now.Sub(since) >= w.Patience {
			if t, err := c.steal(key, text); err == nil {
				return t, nil
			}
		}
		if err := pause(ctx, time.Since(began)); err != nil {
			return nil, err
		}
	}
}

// Await waits for a process that can ask, as this one cannot: until w.Ready, which it
// returns. It is false if none has a turn in the first moments, or has had one for longer
// than w.Patience.
func (c *Cache) Await(ctx context.Context, key Key, w Waiting) bool {
	held := w.Held
	last := time.Now() // when one had a turn, or could have begun one
	for began := last; ; {
		if w.Ready() {
			return true
		}
		t, text, err := c.try(key)
		limit := last.Add(beginning)
		switch {
		case err == nil:
			t.Done()
		case !errors.Is(err, errTaken):
			return false
		default:
			if last = time.Now(); held != nil {
				pid, _ := filelock.Holder([]byte(text))
				held(pid)
				held = nil
			}
			limit = began.Add(w.Patience)
		}
		if time.Now().After(limit) || pause(ctx, time.Since(began)) != nil {
			return w.Ready()
		}
	}
}

func pause(ctx context.Context, waited time.Duration) error {
	select {
	case <-time.After(min(max(waited/10, minPoll), maxPoll)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// try takes the turn, if nobody has it. With errTaken comes what the process that has it
// has written.
func (c *Cache) try(key Key) (*Turn, string, error) {
	dir, err := c.open()
	if err != nil {
		return nil, "", err
	}
	t, err := tryTurn(dir, key)
	if err == nil {
		t.cache = c
		return t, "", nil
	}
	defer dir.Close()
	if !errors.Is(err, errTaken) {
		return nil, "", err
	}
	f, err := openOwn(dir, string(key)+".lock", os.O_RDONLY)
	if err != nil {
		return nil, "", errTaken // it is just being given up
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, 200))
	return nil, string(text), errTaken
}

// tryTurn is try in a directory that is open; Done closes it.
func tryTurn(dir *os.Root, key Key) (*Turn, error) {
	for range 10 {
		f, err := lockFile(dir, string(key)+".lock")
		if err != nil {
			return nil, err
		}
		if filelock.IsNamed(f, dir, string(key)+".lock") {
			sign(f)
			return &Turn{dir: dir, key: key, lock: f}, nil
		}
		f.Close() // the one that had it has removed it
	}
	return nil, errTaken
}

// lockFile opens a file, and takes its lock. One that is not of this user's brs-exec, by
// somebody's mistake, makes way: the directory is ours.
func lockFile(dir *os.Root, name string) (*os.File, error) {
	f, err := openOwn(dir, name, os.O_RDWR)
	if foreign(err) && dir.Remove(name) == nil {
		err = fs.ErrNotExist
	}
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = pathsafe.CreateOwn(dir, name); errors.Is(err, fs.ErrExist) {
			f, err = openOwn(dir, name, os.O_RDWR)
		}
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, pathsafe.ErrRaced) {
		return nil, errTaken // removed, or made, at this moment
	}
	if err != nil {
		return nil, err
	}
	if err := filelock.Try(f); err != nil {
		f.Close()
		if errors.Is(err, filelock.ErrLocked) {
			return nil, errTaken
		}
		return nil, err
	}
	return f, nil
}

// sign writes whose turn it is, and since when. Where that cannot be written there is the
// lock, and only those who wait do not know for whom.
func sign(f *os.File) {
	f.WriteAt(fmt.Appendf(nil, "%-32s %020d\n", filelock.Me(), time.Now().UnixNano()), 0)
}

// steal takes the turn of a process that hangs, if it still has it: text is what that one
// has written.
func (c *Cache) steal(key Key, text string) (*Turn, error) {
	dir, err := c.open()
	if err != nil {
		return nil, err
	}
	t, err := stealIn(dir, key, text)
	if err != nil {
		dir.Close()
		return nil, err
	}
	t.cache = c
	return t, nil
}

func stealIn(dir *os.Root, key Key, text string) (*Turn, error) {
	guard, err := lockFile(dir, guardFile)
	if err != nil {
		return nil, err
	}
	defer guard.Close()
	name := string(key) + ".lock"
	f, err := openOwn(dir, name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if now, err := io.ReadAll(io.LimitReader(f, 200)); err != nil || string(now) != text {
		return nil, errTaken // it is the turn of another by now
	}
	dir.Remove(string(key) + ".next") // of one that was killed: we have the guard
	next, err := pathsafe.CreateOwn(dir, string(key)+".next")
	if err != nil {
		return nil, err
	}
	err = filelock.Try(next)
	if err == nil {
		sign(next)
		err = dir.Rename(string(key)+".next", name)
	}
	if err != nil {
		next.Close()
		return nil, err
	}
	return &Turn{dir: dir, key: key, lock: next}, nil
}

// Put replaces the entry, unless one is there that serves longer, and returns what it
// wrote, with its ID. s.Retrieved is the moment.
func (t *Turn) Put(s Set) (Set, error) {
	s.Retrieved = time.Now().Round(0)
	e := stored{Set: s}
	if !t.cache.virtual.Load() {
		e.Boot = sinceBoot()
	}
	text, id, err := encode(t.key, e)
	if err != nil {
		return s, err
	}
	s.ID = id
	if !filelock.IsNamed(t.lock, t.dir, string(t.key)+".lock") { // it took too long
		if other, err := read(t.dir, t.key); err == nil && !s.Expires.After(other.Expires) {
			return s, nil
		}
	}
	if err := put(t.dir, t.key, text); err != nil {
		return s, fmt.Errorf("%s: %w", t.cache.path, err)
	}
	t.cache.swept.Do(func() { t.cache.sweep(t.dir) })
	return s, nil
}

// Done gives the turn up.
func (t *Turn) Done() {
	t.lock.Close()
	t.dir.Close()
}
