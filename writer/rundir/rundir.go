// Package rundir makes the private directory of a run: in memory where there is such
// a place, for its user alone, found and swept by later runs if this one is killed, and
// made again if something takes it away.
package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"brs-exec.example/brs-exec/writer/filelock"
	"brs-exec.example/brs-exec/writer/pathsafe"
)

// A Dir is a run directory: brs-exec-PID-RANDOM, 0700. Its file "lock" is locked as
// long as its process lives, and says which process that is: a directory whose lock is
// free and whose process is gone is stale, and swept by whoever starts next. The
// lock alone tells the truth across process id reuse and process id namespaces;
// the process is the second witness where a file system has no locks.
//
// Its name is in the environment of processes that may outlive it, and what they
// find under it can have them run programs. So nobody else must ever be able to
// make it: see base.
//
// A directory is made under a hidden name and gets its own when it is locked
// and filled, so a sweeper never meets one that is not. From then on it is held
// by a descriptor, so that whatever comes to have its name, nothing is written to
// another one.
//
// Its methods must not be called concurrently, but for Path, Users and Steps.
type Dir struct {
	path          string // that it has when it is filled
	making        string // the hidden one that it has until then, "" afterwards
	in            place
	held          *held // nil: removed
	lock          *os.File
	made, touched time.Time
	count         int // of files that were ever put
	files         map[string]file

	steps atomic.Uint64 // files written and removed
}

// A file is what belongs into the directory.
type file struct {
	content func() []byte
	link    string // of a symbolic link: where it leads
	stamp   stamp  // as it was written last
	order   int    // in which they were put; 0: it was not there yet
}

// ConfigFile is the file whose path every process of the run has in its environment;
// that is how the processes of a run are found.
const ConfigFile = "config"

const (
	runPrefix  = "brs-exec-"
	lockedFile = "lock"
	// A hidden directory whose making takes longer than this belongs to a
	// process that was killed at it.
	makingTimeout = time.Minute
)

// Make makes a run directory in the first of these directories that can be used, and
// has it filled. nil means those of [Usable].
func Make(dirs []string, fill func(*Dir) error) (*Dir, error) { return makeIn(basesFor(dirs), fill) }

func makeIn(bases []base, fill func(*Dir) error) (*Dir, error) {
	var tried, seen []string
	for _, b := range bases {
		if b.path != "" && slices.Contains(seen, filepath.Clean(b.path)) {
			continue
		}
		seen = append(seen, filepath.Clean(b.path))
		in, err := b.place()
		if err == nil {
			d := &Dir{in: in, path: filepath.Join(in.path, runPrefix+strconv.Itoa(os.Getpid())+"-"+pathsafe.RandomName()), files: map[string]file{}}
			if err = d.make(fill); err == nil {
				return d, nil
			}
		}
		tried = append(tried, b.why(err))
	}
	return nil, fmt.Errorf("no writable run directory: tried %s", strings.Join(tried, "; "))
}

// make makes the directory, and leaves nothing behind if it fails.
func (d *Dir) make(fill func(*Dir) error) (err error) {
	d.made = time.Now()
	d.touched = d.made
	d.making = filepath.Join(d.in.path, "."+filepath.Base(d.path))
	if err := os.Mkdir(d.making, 0o700); err != nil {
		return err
	}
	if d.held, err = hold(d.making); err != nil {
		os.Remove(d.making)
		return err
	}
	defer func() {
		if err != nil {
			d.Remove()
		}
	}()
	if err := d.takeLock(); err != nil {
		return err
	}
	if err := fill(d); err != nil {
		return err
	}
	return d.publish()
}

// takeLock says whose the directory is before it locks that file: whoever finds it not
// locked yet reads who lives.
func (d *Dir) takeLock() (err error) {
	d.lock, err = d.held.writeOpen(lockedFile, []byte(filelock.Me()+"\n"))
	if err != nil {
		return err
	}
	if err := filelock.Try(d.lock); err != nil && !errors.Is(err, filelock.ErrNoLocks) {
		d.held.remove(lockedFile) // for the next try
		return fmt.Errorf("lock run directory: %w", err)
	}
	return nil
}

// Path returns the path of the directory, while it is filled already.
func (d *Dir) Path() string { return d.path }

// Open opens the directory. Of another one that has its path it is an error.
func (d *Dir) Open() (*os.Root, error) {
	if d.held == nil {
		return nil, fs.ErrClosed
	}
	return d.held.open(d.at())
}

// at is the path that the directory has now.
func (d *Dir) at() string {
	if d.making != "" {
		return d.making
	}
	return d.path
}

// IsThere tells whether the path still leads to the directory.
func (d *Dir) IsThere() bool { return d.held != nil && d.isThere() }

func (d *Dir) isThere() bool { return d.held.isAt(d.at()) }

// Recover makes again what was removed, the directory itself or a file in it, as it
// was last put. It tells whether anything was missing. A file that is another one
// stays: the command may have changed its configuration. Somebody else may have
// taken the directory's name; then it fails, and nothing is written.
func (d *Dir) Recover() (missing bool, err error) {
	if d.held == nil {
		return false, fs.ErrClosed
	}
	if d.isThere() && len(d.missing()) == 0 {
		return false, nil
	}
	err = d.recover()
	if errors.Is(err, fs.ErrNotExist) { // something is about to remove it
		err = d.recover()
	}
	return true, err
}

func (d *Dir) recover() error {
	if !d.isThere() {
		return d.again()
	}
	for _, name := range d.missing() {
		if name == lockedFile {
			d.lock.Close()
			if err := d.takeLock(); err != nil {
				return err
			}
		} else if err := d.write(name); err != nil {
			return err
		}
	}
	return nil
}

// again makes the directory under the same path. It fails if somebody else has the
// name, and then nothing has changed.
func (d *Dir) again() error {
	if err := d.in.again(); err != nil {
		return err
	}
	made := &Dir{in: d.in, path: d.path, files: maps.Clone(d.files)}
	err := made.make(func(made *Dir) error {
		for _, name := range made.inOrder(func(string) bool { return true }) {
			if err := made.write(name); err != nil {
				return err
			}
			d.steps.Add(1)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.lock.Close()
	d.held.close()
	d.held, d.lock, d.files = made.held, made.lock, made.files
	return nil
}

// missing are the files that belong into the directory and are not there.
func (d *Dir) missing() (names []string) {
	there, err := d.held.names() // which costs less than to look for each
	if err != nil {
		return nil
	}
	is := make(map[string]bool, len(there))
	for _, name := range there {
		is[name] = true
	}
	gone := func(name string) bool {
		if is[name] {
			return false
		}
		_, err := d.held.lstat(name) // a listing need not be of one moment
		return errors.Is(err, fs.ErrNotExist)
	}
	names = d.inOrder(gone)
	if gone(lockedFile) {
		names = append(names, lockedFile)
	}
	return names
}

// inOrder are the files that match, in the order in which they were put.
func (d *Dir) inOrder(match func(name string) bool) (names []string) {
	for name, f := range d.files {
		if f.order > 0 && match(name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return d.files[a].order - d.files[b].order })
	return names
}

// Put gives name to a new file with this content, in one step for clients.
func (d *Dir) Put(name string, content []byte) error {
	return d.PutFrom(name, func() []byte { return content })
}

// PutFrom is Put for content that is made when it is needed: now, and whenever the file
// has to be made again. It must always be the same.
func (d *Dir) PutFrom(name string, content func() []byte) error {
	return d.put(name, file{content: content})
}

// Content returns what was put last under the name, nil if nothing was.
func (d *Dir) Content(name string) []byte {
	if content := d.files[name].content; content != nil {
		return content()
	}
	return nil
}

// Link makes a symbolic link. It must not be there yet.
func (d *Dir) Link(name, target string) error { return d.put(name, file{link: target}) }

// Drop removes a file, which no longer belongs into the directory.
func (d *Dir) Drop(name string) error {
	delete(d.files, name)
	if d.held == nil {
		return fs.ErrClosed
	}
	if err := d.held.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// put has the file be missed from when it has been there: one that could not be written
// is nothing that was removed.
func (d *Dir) put(name string, f file) error {
	f.order = d.files[name].order
	d.files[name] = f
	if err := d.write(name); err != nil {
		return err
	}
	d.steps.Add(1)
	if f.order == 0 {
		d.count++
		f = d.files[name]
		f.order = d.count
		d.files[name] = f
	}
	return nil
}

// write puts a file into the directory. It follows no link and writes to no file that is
// there: a new one gets its name. That is later than the old one by a time that every
// client can tell, and shows whether it was read (see Read).
func (d *Dir) write(name string) (err error) {
	if d.held == nil {
		return fs.ErrClosed
	}
	kept := d.files[name]
	if kept.link != "" {
		return d.held.symlink(kept.link, name)
	}
	temp := name // nobody knows the directory yet
	if d.making == "" || kept.order > 0 {
		temp = "." + name + "-" + pathsafe.RandomName() + ".tmp"
	}
	made, err := d.held.write(temp, kept.content())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			d.held.remove(temp)
		}
	}()
	at := made.modTime()
	if kept.order > 0 {
		if old, err := d.held.lstat(name); err == nil && !at.After(old.modTime()) {
			at = old.modTime().Truncate(time.Second).Add(time.Second)
		}
	}
	if err := d.held.chtimes(temp, unread(at), at); err != nil {
		return err
	}
	if temp != name {
		if err := d.held.rename(temp, name); err != nil {
			return err
		}
	}
	kept.stamp = made
	if !at.Equal(made.modTime()) {
		kept.stamp, err = d.held.lstat(name)
	}
	d.files[name] = kept
	return err
}

// IsIntact tells whether these files are still those that were put. It does not open
// them, as only clients do.
func (d *Dir) IsIntact(names ...string) bool {
	for _, name := range names {
		was := d.files[name].stamp
		is, err := d.held.lstat(name)
		if err != nil || !is.isSame(was) || is.size() != was.size() || !is.modTime().Equal(was.modTime()) {
			return false
		}
	}
	return true
}

// touchEvery is less than what cleaners of temporary files call old, by days.
const touchEvery = time.Hour

// Touch makes the directory young, with the file of this name, so that no cleaner of
// temporary files takes them for what nobody needs.
func (d *Dir) Touch(name string) {
	now := time.Now().Round(0) // cleaners look at that clock, which goes on in suspend, and can be set
	if now.Sub(d.touched).Abs() < touchEvery {
		return
	}
	d.touched = now
	for _, name := range []string{name, lockedFile} {
		d.held.chtimes(name, unread(now), now)
	}
}

// Read returns when a file was read since it was put, or since the last Read said so;
// false if it was not. Of several readings it is the time of the first that is known,
// since with relatime, the default, only that moves an access time (mount(8)). On a
// file system that is mounted noatime, and on anything but Linux, nobody is seen to
// read.
func (d *Dir) Read(name string) (at time.Time, ok bool) {
	if d.held == nil || d.files[name].order == 0 {
		return at, false
	}
	is, err := d.held.lstat(name)
	if err != nil {
		return at, false
	}
	at = is.readTime()
	if at.IsZero() || at.Equal(unread(is.modTime())) {
		return at, false
	}
	d.held.chtimes(name, unread(is.modTime()), time.Time{}) // so that the next reading shows
	return at, true
}

// unread is the access time that a file written at that time is given. A whole
// second is what every file system can store, and one that is past tells it from
// a reading in the same moment.
func unread(written time.Time) time.Time { return written.Truncate(time.Second).Add(-time.Second) }

// Remove removes the directory, its lock last: as long as that is there, a
// sweeper can tell what the directory is. As long as a process was told to look
// there, it stays as an empty one where others could make one of that name.
func (d *Dir) Remove() error {
	if d.held == nil {
		return nil
	}
	path := d.at()
	names, err := d.held.names()
	err = errors.Join(err, empty(names, func(name string) error { return d.held.removeAll(path, name) }, &d.steps))
	isThere := d.isThere()
	d.lock.Close()
	d.held.close()
	d.held = nil
	if !isThere || d.in.shared && inUse(path, os.Getpid(), time.Since(d.made)) {
		return err
	}
	if runtime.GOOS == "windows" { // not while it is open
		os.Remove(filepath.Join(path, lockedFile))
	}
	gone := removeDir(path)
	if errors.Is(gone, fs.ErrNotExist) { // another run has swept it by now
		gone = nil
	}
	return errors.Join(err, gone)
}

// Steps returns how many files were written and removed so far. As long as it grows, a
// call that takes long does not hang.
func (d *Dir) Steps() uint64 { return d.steps.Load() }

// empty removes what a directory has, its lock last.
func empty(names []string, removeAll func(name string) error, steps *atomic.Uint64) error {
	var errs []error
	for _, name := range names {
		if name != lockedFile {
			errs = append(errs, removeAll(name))
			steps.Add(1)
		}
	}
	removeAll(lockedFile)
	return errors.Join(errs...)
}

// isRunName is strict: nothing else that a user named after us is touched.
func isRunName(name string) bool {
	rest, ok := strings.CutPrefix(name, runPrefix)
	if !ok {
		return false
	}
	pid, random, _ := strings.Cut(rest, "-")
	return pid != "" && strings.Trim(pid, "0123456789") == "" && isRandom(random)
}

// isRandom tells what pathsafe.RandomName returns.
func isRandom(s string) bool { return len(s) == 16 && strings.Trim(s, "0123456789abcdef") == "" }
