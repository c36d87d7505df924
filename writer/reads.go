package writer

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"brs-exec/writer/process"
)

// Read is what is known about those who opened one file of the run directory.
// The zero value says that nobody has.
type Read struct {
	KeyID string    // access key id of the set that the file held then; for the config file, that there was then
	At    time.Time // when it was last opened
	Count int       // how often, at least: the system may report several in a row as one
}

// Reads are the last readings of the files in the run directory. It is the
// opening of a file that counts, whoever does it: an SDK, a shell, a person.
type Reads struct {
	// State was read by a credential_process, for an SDK that asks.
	State Read
	// Credentials was read by a program that takes the keys from it or, as each
	// of them does, by an SDK that loads its profile.
	Credentials Read
	// Config was read by an SDK that was starting.
	Config Read
}

// WatchReads begins to notice who opens the files, and returns what goes on
// with it until its context ends; it must be run, and gives an error only if the
// system fails it. It costs nothing until a file is opened, but some 10 to 20 ms
// when it ends (the kernel waits for all processors before it lets go of a
// watch). So it may be called late, for a child that has proved to live: who read
// the files before that is told by their access times, unless the file system
// is mounted noatime.
//
// It is an error of errors.ErrUnsupported on anything but Linux: macOS and
// Windows do not tell of readers, so that only those of the endpoint are known.
// On Linux it fails for a user who has too many inotify instances.
func (p *Private) WatchReads() (run func(context.Context) error, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &readWatch{holds: map[string]string{}, coming: map[string][]string{}, last: map[string]Read{}}
	for _, name := range delivered {
		r.holds[name] = p.last.AccessKeyID
	}
	if run, err = r.watch(p.Dir()); err != nil {
		return nil, err
	}
	for _, name := range []string{configFile, process.StateFile, credentialsFile} {
		if at, ok := readAt(filepath.Join(p.Dir(), name)); ok {
			r.last[name] = Read{KeyID: p.last.AccessKeyID, At: at, Count: 1}
		}
	}
	p.reads = r
	return run, nil
}

// LastReads reports what WatchReads has seen.
func (p *Private) LastReads() Reads {
	p.mu.Lock()
	r := p.reads
	p.mu.Unlock()
	if r == nil {
		return Reads{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return Reads{State: r.last[process.StateFile], Credentials: r.last[credentialsFile], Config: r.last[configFile]}
}

// readWatch learns of openings and of our own renames from one queue, and so
// knows which content a reader got, however late it hears of it.
type readWatch struct {
	mu     sync.Mutex
	holds  map[string]string   // key id, by the name of the file
	coming map[string][]string // key ids of renames that were not reported yet
	last   map[string]Read
}

// renaming is called before name is given to a file that holds the set of
// keyID; undo if that failed.
func (r *readWatch) renaming(name, keyID string) (undo func()) {
	if r == nil {
		return func() {}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.coming[name] = append(r.coming[name], keyID)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if n := len(r.coming[name]); n > 0 {
			r.coming[name] = r.coming[name][:n-1]
		}
	}
}

// renamed is the report of a rename.
func (r *readWatch) renamed(name string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if ids := r.coming[name]; len(ids) > 0 {
		r.holds[name], r.coming[name] = ids[0], slices.Clone(ids[1:])
	}
}

// opened is the report of an opening.
func (r *readWatch) opened(name string, now time.Time) {
	if name != configFile && !slices.Contains(delivered[:], name) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	held := name
	if name == configFile {
		held = process.StateFile
	}
	r.last[name] = Read{KeyID: r.holds[held], At: now.Round(0), Count: r.last[name].Count + 1}
}

// overflowed is the report that reports were lost. There were thousands, so
// everything has been read.
func (r *readWatch) overflowed(now time.Time) {
	r.mu.Lock()
	for name, ids := range r.coming {
		if n := len(ids); n > 0 {
			r.holds[name], r.coming[name] = ids[n-1], nil
		}
	}
	r.mu.Unlock()
	for _, name := range []string{configFile, process.StateFile, credentialsFile} {
		r.opened(name, now)
	}
}
