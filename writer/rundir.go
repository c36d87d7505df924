package writer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"brs-exec/writer/filelock"
	"brs-exec/writer/pathsafe"
)

// A run directory is brs-exec-PID-RANDOM, 0700. Its file "lock" is locked as long
// as its process lives, and says which process that is: a directory whose lock is
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
type runDir struct {
	path string
	in   place
	root *os.Root
	info fs.FileInfo // of root
	lock *os.File
}

const (
	runPrefix  = "brs-exec-"
	lockedFile = "lock"
	// A hidden directory whose making takes longer than this belongs to a
	// process that was killed at it.
	makingTimeout = time.Minute
)

// newRunDir makes a run directory in the first of the bases where it can, and
// has it filled, which is told the path that it is going to have.
func newRunDir(bases []base, fill func(d *runDir, final string) error) (*runDir, error) {
	var tried, seen []string
	for _, b := range bases {
		if b.path != "" && slices.Contains(seen, filepath.Clean(b.path)) {
			continue
		}
		seen = append(seen, filepath.Clean(b.path))
		in, err := b.place()
		if err == nil {
			var d *runDir
			if d, err = makeRunDir(in, runPrefix+strconv.Itoa(os.Getpid())+"-"+pathsafe.RandomName(), fill); err == nil {
				return d, nil
			}
		}
		var perr *parseError
		if errors.As(err, &perr) { // the user's file: another directory won't help
			return nil, err
		}
		tried = append(tried, b.why(err))
	}
	return nil, fmt.Errorf("no writable run directory: tried %s", strings.Join(tried, "; "))
}

func makeRunDir(in place, name string, fill func(d *runDir, final string) error) (_ *runDir, err error) {
	making, final := filepath.Join(in.path, "."+name), filepath.Join(in.path, name)
	if err := os.Mkdir(making, 0o700); err != nil {
		return nil, err
	}
	d := &runDir{path: making, in: in}
	if d.root, err = os.OpenRoot(making); err != nil {
		os.Remove(making)
		return nil, err
	}
	defer func() {
		if err != nil {
			d.remove()
		}
	}()
	if d.info, err = d.root.Stat("."); err != nil {
		return nil, err
	}
	// The umask may have taken from it, a set-group-id parent added to it.
	if err := d.root.Chmod(".", 0o700); err != nil {
		return nil, err
	}
	if err := d.takeLock(); err != nil {
		return nil, err
	}
	if err := fill(d, final); err != nil {
		return nil, err
	}
	if err := d.moveTo(final); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *runDir) takeLock() (err error) {
	d.lock, err = d.root.OpenFile(lockedFile, os.O_RDWR|os.O_CREATE|os.O_EXCL, pathsafe.FileMode)
	if err != nil {
		return err
	}
	if err := filelock.Try(d.lock); err != nil && !errors.Is(err, filelock.ErrNoLocks) {
		return fmt.Errorf("lock run directory: %w", err)
	}
	_, err = fmt.Fprintln(d.lock, filelock.Me())
	return err
}

// held tells whether the path still leads to the directory.
func (d *runDir) held() bool {
	is, err := os.Lstat(d.path)
	return err == nil && os.SameFile(is, d.info)
}

// again makes the directory under the same path, after it has vanished. It fails
// if somebody else has the name, and then nothing has changed.
func (d *runDir) again(fill func(d *runDir, final string) error) error {
	if err := d.in.again(); err != nil {
		return err
	}
	made, err := makeRunDir(d.in, filepath.Base(d.path), fill)
	if err != nil {
		return err
	}
	d.lock.Close()
	d.root.Close()
	d.root, d.info, d.lock = made.root, made.info, made.lock
	return nil
}

// write gives name to a new file with this content, in one step for readers. It
// follows no link and writes to no file that is there. The new file is later than
// the old one by a time that every client can tell, and shows whether it was read
// (see readAt).
func (d *runDir) write(name string, content []byte) (err error) {
	if d.root == nil { // removed
		return fs.ErrClosed
	}
	temp := "." + name + "-" + pathsafe.RandomName() + ".tmp"
	f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, pathsafe.FileMode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			d.root.Remove(temp)
		}
	}()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Chmod(pathsafe.FileMode); err != nil { // whatever the umask
		return err
	}
	made, err := f.Stat()
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	at := made.ModTime()
	if old, err := d.root.Lstat(name); err == nil && !at.After(old.ModTime()) {
		at = old.ModTime().Truncate(time.Second).Add(time.Second)
	}
	if err := d.root.Chtimes(temp, unread(at), at); err != nil {
		return err
	}
	return d.root.Rename(temp, name)
}

// touch makes a file young, so that no cleaner of temporary files takes it for
// one that nobody needs.
func (d *runDir) touch(name string) {
	now := time.Now()
	d.root.Chtimes(name, unread(now), now)
}

// remove removes the directory, its lock last: as long as that is there, a
// sweeper can tell what the directory is. As long as a process was told to look
// there, it stays as an empty one where others could make one of that name.
func (d *runDir) remove() error {
	if d.root == nil {
		return nil
	}
	err := emptyDir(d.root)
	held := d.held()
	d.lock.Close()
	d.root.Close()
	d.root = nil
	if !held || d.in.shared && inUse(d.path) {
		return err
	}
	os.Remove(filepath.Join(d.path, lockedFile)) // Windows: not while it is open
	gone := os.Remove(d.path)
	if errors.Is(gone, fs.ErrNotExist) { // another run has swept it by now
		gone = nil
	}
	return errors.Join(err, gone)
}

func emptyDir(root *os.Root) error {
	names, err := pathsafe.Names(root)
	errs := []error{err}
	for _, name := range names {
		if name != lockedFile {
			errs = append(errs, root.RemoveAll(name))
		}
	}
	root.Remove(lockedFile)
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
