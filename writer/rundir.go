package writer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"brs-exec/writer/process"
)

// A run directory is brs-exec-PID-RANDOM, 0700, in one of several base
// directories. Its file "lock" is locked as long as its process lives, and says
// which process that is: a directory whose lock is free and whose process is
// gone is stale, and swept by whoever starts next. The lock alone tells the
// truth across process id reuse and process id namespaces; the process is the
// second witness where a file system has no locks.
//
// A directory is made under a hidden name and gets its own when it is locked
// and filled, so a sweeper never meets one that is not.
type runDir struct {
	path string
	lock *os.File
}

const (
	runPrefix  = "brs-exec-"
	lockedFile = "lock"
	// A hidden directory whose making takes longer than this belongs to a
	// process that was killed at it.
	makingTimeout = time.Minute
)

// base is a candidate for the directory that a run directory is made in.
type base struct {
	label string // how the user knows it
	path  string // "" if it is not set
	make  bool   // make it, 0700, if it does not exist
}

// defaultBases are the candidates in their order: memory before disk, private
// before shared.
func defaultBases(getenv func(string) string) (bases []base) {
	if runtime.GOOS == "windows" {
		return []base{{label: "temporary directory", path: os.TempDir()}}
	}
	bases = append(bases, base{label: "$XDG_RUNTIME_DIR", path: getenv("XDG_RUNTIME_DIR")})
	if os.Geteuid() == 0 {
		bases = append(bases, base{path: "/run/brs-exec", make: true})
	}
	bases = append(bases, base{path: "/dev/shm"})
	if dir := getenv("TMPDIR"); dir != "" {
		bases = append(bases, base{label: "$TMPDIR", path: dir})
	}
	return append(bases, base{path: "/tmp"})
}

// newRunDir makes a run directory in the first of the bases where it can, and
// has it filled: fill gets the directory to write to, and the path that it is
// going to have. Stale directories are removed from all of them.
func newRunDir(bases []base, fill func(dir, final string) error) (*runDir, error) {
	var tried []string
	var made *runDir
	var seen []string
	for _, b := range bases {
		if b.path != "" && slices.Contains(seen, filepath.Clean(b.path)) {
			continue
		}
		seen = append(seen, filepath.Clean(b.path))
		err := b.check(made == nil)
		if err == nil {
			sweep(b.path)
			if made == nil {
				made, err = makeRunDir(filepath.Clean(b.path), fill)
			}
		}
		var perr *parseError
		if errors.As(err, &perr) { // the user's file: another directory won't help
			return nil, err
		}
		if err != nil {
			tried = append(tried, b.why(err))
		}
	}
	if made == nil {
		return nil, fmt.Errorf("no writable run directory: tried %s", strings.Join(tried, "; "))
	}
	return made, nil
}

func (b base) why(err error) string {
	// The path is said once; the system's errors say it again.
	var perr *fs.PathError
	if errors.As(err, &perr) {
		err = perr.Err
	}
	name := strings.TrimSpace(b.label + " " + b.path)
	return fmt.Sprintf("%s (%v)", name, err)
}

// check says why b cannot hold run directories safely: someone who can rename
// what is in it could have the child run programs of theirs.
func (b base) check(create bool) error {
	switch {
	case b.path == "":
		return errors.New("not set")
	case !filepath.IsAbs(b.path):
		return errors.New("not an absolute path")
	case !plainPath(b.path):
		return errors.New("its path has characters other than letters, digits and _./-, which not every SDK can run a program with")
	}
	if b.make && create {
		if err := os.Mkdir(b.path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	info, err := os.Stat(b.path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("not a directory")
	}
	return trusted(info, b.make)
}

// plainPath tells whether SDKs take path as one word of a credential_process
// command: they differ in how they split and quote it, and agree on these.
func plainPath(path string) bool { return plainOn(runtime.GOOS, path) }

func plainOn(goos, path string) bool {
	return !strings.ContainsFunc(path, func(r rune) bool {
		switch {
		case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9', strings.ContainsRune("_./-", r):
			return false
		}
		return goos != "windows" || !strings.ContainsRune(`\:~`, r) // ~ is in short names
	})
}

func makeRunDir(in string, fill func(dir, final string) error) (_ *runDir, err error) {
	name := runPrefix + strconv.Itoa(os.Getpid()) + "-" + randomName()
	making, final := filepath.Join(in, "."+name), filepath.Join(in, name)
	if err := os.Mkdir(making, 0o700); err != nil {
		return nil, err
	}
	d := &runDir{path: making}
	defer func() {
		if err != nil {
			d.remove()
		}
	}()
	// The umask may have taken from it, a set-group-id parent added to it.
	if err := os.Chmod(making, 0o700); err != nil {
		return nil, err
	}
	if err := d.takeLock(); err != nil {
		return nil, err
	}
	if err := fill(making, final); err != nil {
		return nil, err
	}
	if err := d.moveTo(final); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *runDir) takeLock() (err error) {
	d.lock, err = os.OpenFile(filepath.Join(d.path, lockedFile), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := tryLock(d.lock); err != nil && !errors.Is(err, errNoLocks) {
		return fmt.Errorf("lock run directory: %w", err)
	}
	pid := os.Getpid()
	_, err = fmt.Fprintf(d.lock, "%d %d\n", pid, startTime(pid))
	return err
}

// remove removes the directory, its lock last: as long as that is there, a
// sweeper can tell what the directory is.
func (d *runDir) remove() error {
	err := removeRunDir(d.path)
	if d.lock != nil {
		d.lock.Close()
	}
	if _, serr := os.Lstat(d.path); serr == nil { // Windows: not while the lock is open
		err = removeRunDir(d.path)
	}
	return err
}

func removeRunDir(path string) error {
	names, err := readNames(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var errs []error
	for _, name := range names {
		if name != lockedFile {
			errs = append(errs, os.RemoveAll(filepath.Join(path, name)))
		}
	}
	return errors.Join(append(errs, err, os.RemoveAll(path))...)
}

func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// sweep removes the stale run directories in a base directory. What cannot be
// removed stays for the next time.
func sweep(in string) {
	names, _ := readNames(in)
	for _, name := range names {
		if !isRunName(strings.TrimPrefix(name, ".")) {
			continue
		}
		path := filepath.Join(in, name)
		info, err := os.Lstat(path)
		if err != nil || !info.IsDir() || !ours(info) {
			continue
		}
		if name[0] == '.' && time.Since(info.ModTime()) < makingTimeout {
			continue
		}
		sweepOne(path)
	}
}

// isRunName is strict: nothing else that a user named after us is touched.
func isRunName(name string) bool {
	rest, ok := strings.CutPrefix(name, runPrefix)
	if !ok {
		return false
	}
	pid, random, _ := strings.Cut(rest, "-")
	return pid != "" && strings.Trim(pid, "0123456789") == "" &&
		len(random) == 16 && strings.Trim(random, "0123456789abcdef") == ""
}

func sweepOne(path string) {
	lock, err := os.OpenFile(filepath.Join(path, lockedFile), os.O_RDWR|noFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		os.Remove(path) // its removal was cut short at the very end; else it is not empty and stays
		return
	}
	if err != nil {
		return
	}
	defer lock.Close()
	if err := tryLock(lock); err != nil && !errors.Is(err, errNoLocks) {
		return
	}
	text, err := io.ReadAll(io.LimitReader(lock, 100))
	if err != nil {
		return
	}
	var pid, start int
	if n, _ := fmt.Sscanf(string(text), "%d %d\n", &pid, &start); n == 2 && alive(pid, start) {
		return
	}
	if _, err := process.Output(path, time.Now()); err == nil && inUse(path) {
		return // until the set ends, or the last who has it
	}
	removeRunDir(path)
}
