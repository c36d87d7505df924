// Package cache holds what processes of one user share: credentials, so that one of them
// asks for all, and whose turn it is to ask.
//
// An entry is a file of mode 0600 in a directory of mode 0700 that is this user's, opened
// by descriptor and checked at each use. It is replaced in one step, and has a sum in it:
// one that is torn, of another user or of another key is none. What another process may be
// killed at costs a retrieval, and nothing else:
//
//	KEY                   the entry, JSON behind a line with its sum
//	KEY.lock              locked by the process that asks, whose turn it is; its text says which one
//	KEY.tmp               what that one writes, and then renames to KEY
//	brs-exec-share.steal  locked for the moment in which the turn of a process that hangs is taken away
package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"brs-exec.example/brs-exec/writer/filelock"
	"brs-exec.example/brs-exec/writer/pathsafe"
)

// Cache is a directory of entries. Its methods may be called from several goroutines.
type Cache struct {
	path   string // of the directory
	inHome bool   // those above it may have to be made

	// Passed says of each directory that comes before this one, and that something is
	// wrong with, what that is.
	Passed []string

	virtual atomic.Bool // see InVirtualTime

	swept sync.Once
	watch watch
}

// Set is what an entry holds.
type Set struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	AccountID, Source                          string // as in aws.Credentials

	Expires   time.Time     // on the clock of the server that gave them
	Skew      time.Duration // how far this machine's clock is ahead of that one's
	Lifetime  time.Duration // from issue to expiry
	Retrieved time.Time     // on this machine's clock

	Identity, Session string // the ARN of the assumed role and the name of its session; "" if they are not known

	// ID tells the entry from every other one.
	ID string `json:"-"`
}

// Left is what remains of the lifetime at a moment of this machine's clock.
func (s Set) Left(now time.Time) time.Duration { return s.Expires.Add(s.Skew).Sub(now.Round(0)) }

var (
	// ErrNone: there is no entry.
	ErrNone = errors.New("there is no such entry")
	// errBroken: the entry is not what was written: torn, or of another key.
	errBroken = errors.New("is damaged")
)

// maxEntry is far above any credentials.
const maxEntry = 64 << 10

const magic = "brs-exec share 1 "

// stored is the JSON of an entry.
type stored struct {
	Set
	Boot time.Duration // since the boot of the machine, also in a suspend; 0 where that is not known
}

// Get returns the entry of a key, its skew as it is now: the clock may have been set since.
// Its errors are ErrNone, errBroken and those that say why an entry, or the directory, is
// not believed.
func (c *Cache) Get(key Key) (Set, error) {
	dir, err := c.open()
	if err != nil {
		return Set{}, err
	}
	defer dir.Close()
	return read(dir, key)
}

func read(dir *os.Root, key Key) (Set, error) {
	f, err := openOwn(dir, string(key), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, pathsafe.ErrRaced) {
		return Set{}, ErrNone // or it is just being replaced, by one that is not ours yet
	} else if err != nil {
		return Set{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxEntry+1))
	if err != nil {
		return Set{}, fmt.Errorf("%s: %w", filepath.Join(dir.Name(), string(key)), pathsafe.Reason(err))
	}
	e, err := decode(key, text)
	if err != nil {
		return Set{}, fmt.Errorf("%s %w", filepath.Join(dir.Name(), string(key)), err)
	}
	e.Skew += stepped(e) // 0 if no time since boot is in it
	return e.Set, nil
}

// stepped is by how much the clock was set since the entry was written: what it went
// further than the one that nobody sets.
func stepped(e stored) time.Duration {
	boot := sinceBoot()
	if boot == 0 || e.Boot == 0 || boot < e.Boot { // of another boot
		return 0
	}
	step := time.Now().Round(0).Sub(e.Retrieved) - (boot - e.Boot)
	if step.Abs() < 2*time.Second {
		return 0
	}
	return step.Round(time.Second)
}

func encode(key Key, e stored) (text []byte, id string, err error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, "", err
	}
	id = sum(key, body)
	return append([]byte(magic+id+"\n"), body...), id, nil
}

func decode(key Key, text []byte) (e stored, err error) {
	head, body, whole := strings.Cut(string(text), "\n")
	id, ours := strings.CutPrefix(head, magic)
	if !whole || !ours || len(text) > maxEntry || id != sum(key, []byte(body)) || json.Unmarshal([]byte(body), &e) != nil {
		return stored{}, errBroken
	}
	e.ID = id
	return e, nil
}

func sum(key Key, body []byte) string {
	h := sha256.New()
	io.WriteString(h, magic+string(key)+"\n")
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// openOwn opens a file that only this user can have made, and only this user can read.
func openOwn(dir *os.Root, name string, flag int) (*os.File, error) {
	f, err := pathsafe.OpenOwn(dir, name, flag, os.Geteuid())
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || othersRead(info) {
		f.Close()
		return nil, errOpen{fmt.Errorf("%s: others can read it (mode %04o)", filepath.Join(dir.Name(), name), info.Mode().Perm())}
	}
	return f, nil
}

// errOpen: others can read it.
type errOpen struct{ error }

// foreign tells whether a file is none that this user's brs-exec has made.
func foreign(err error) bool {
	return errors.As(err, new(*pathsafe.NotOwnError)) || errors.As(err, new(errOpen))
}

// put replaces the entry of a key.
func put(dir *os.Root, key Key, text []byte) error {
	temp := string(key) + ".tmp"
	dir.Remove(temp) // of a process that was killed: it is our turn
	return pathsafe.Reason(pathsafe.Put(dir, temp, string(key), text, func(f *os.File) error {
		if !filelock.IsNamed(f, dir, temp) {
			return errors.New("another process has taken its turn away")
		}
		return nil
	}))
}

// Forget removes an entry, whoever is about to use it.
func (c *Cache) Forget(key Key) {
	if dir, err := c.open(); err == nil {
		dir.Remove(string(key))
		dir.Close()
	}
}

// sweep removes what has expired, once for each process. In a directory with many entries
// only the old ones are read.
func (c *Cache) sweep(dir *os.Root) {
	const young = time.Hour
	names, _ := pathsafe.Names(dir)
	for _, name := range names {
		key := Key(name)
		if !key.valid() {
			continue
		}
		if info, err := dir.Lstat(name); err != nil || time.Since(info.ModTime()) < young {
			continue
		}
		if set, err := read(dir, key); errors.Is(err, ErrNone) || err == nil && set.Left(time.Now()) > 0 {
			continue
		}
		if t, err := tryTurn(dir, key); err == nil {
			dir.Remove(name)
			filelock.Remove(dir, name+".lock")
			t.lock.Close()
		}
	}
}

// Key names an entry: what it is the credentials of.
type Key string

func (k Key) valid() bool {
	b, err := hex.DecodeString(string(k))
	return err == nil && len(b) == sha256.Size
}

// Hasher makes a Key of all that determines credentials.
type Hasher struct {
	h interface {
		io.Writer
		Sum([]byte) []byte
	}
}

// NewHasher begins a key of that kind.
func NewHasher(kind string) *Hasher {
	h := &Hasher{sha256.New()}
	h.Add(magic, kind)
	return h
}

// Add adds a setting. The lengths of all go in, so that no two sequences of settings are
// one sequence of bytes.
func (h *Hasher) Add(name string, values ...string) {
	fmt.Fprintf(h.h, "%d %s %d\n", len(name), name, len(values))
	for _, v := range values {
		fmt.Fprintf(h.h, "%d %s\n", len(v), v)
	}
}

// Key is that of what was added.
func (h *Hasher) Key() Key { return Key(hex.EncodeToString(h.h.Sum(nil))) }
