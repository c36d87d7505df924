package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// base is a candidate for the directory that run directories are made in. In one
// that others can write to (/dev/shm, /tmp) they are made in a directory of the
// user's own, brs-exec-UID, 0700, which is never removed: else the name of a run
// that has ended would be anybody's to take, and processes that outlive the run
// would read what they are given there.
type base struct {
	label string // how the user knows it
	path  string // "" if it is not set
	own   bool   // nobody else may even look into it
	make  bool   // make it, 0700, if it does not exist
}

// place is a directory that run directories are in: that of a base, or one of
// ours in it.
type place struct {
	path   string
	of     base
	shared bool // others can make names beside path
}

// defaultBases are the candidates in their order: memory before disk, private
// before shared. The last but $TMPDIR and /tmp: systemd takes /run/user/UID away
// when the user's last login ends, which is a surprise for a process that is of
// no login and so has no $XDG_RUNTIME_DIR.
func defaultBases(getenv func(string) string) (bases []base) {
	if runtime.GOOS == "windows" {
		return []base{{label: "temporary directory", path: os.TempDir()}}
	}
	bases = append(bases, base{label: "$XDG_RUNTIME_DIR", path: getenv("XDG_RUNTIME_DIR")})
	root := base{path: "/run/brs-exec", own: true, make: true}
	uid := os.Geteuid()
	memory := uid == 0 && inMemory("/run")
	if memory {
		bases = append(bases, root)
	}
	bases = append(bases, base{path: "/dev/shm"}, base{path: "/run/user/" + strconv.Itoa(uid), own: true})
	if uid == 0 && !memory {
		bases = append(bases, root)
	}
	if dir := getenv("TMPDIR"); dir != "" {
		bases = append(bases, base{label: "$TMPDIR", path: dir})
	}
	return append(bases, base{path: "/tmp"})
}

// Bases returns the default candidates of [Make] that are safe, their paths without
// links, in the environment that getenv reads.
func Bases(getenv func(string) string) (paths []string) {
	for _, b := range defaultBases(getenv) {
		if path, _, err := b.check(); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

func basesFor(dirs []string) (bases []base) {
	if dirs == nil {
		return defaultBases(os.Getenv)
	}
	for _, dir := range dirs {
		bases = append(bases, base{path: dir})
	}
	return bases
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
// what is in it, or it, could have the command run programs of theirs. It returns
// the path without links, which is the one to use: a link can be turned.
func (b base) check() (path string, info fs.FileInfo, err error) {
	switch {
	case b.path == "":
		return "", nil, errors.New("not set")
	case !filepath.IsAbs(b.path):
		return "", nil, errors.New("not an absolute path")
	}
	if path, info, err = resolveDir(b.path); err != nil {
		return "", nil, err
	}
	if !PlainPath(path) {
		return "", nil, errors.New("its path has characters other than letters, digits and _./-, which not every SDK can run a program with")
	}
	if b.own {
		return path, info, Alone(info)
	}
	return path, info, trusted(info)
}

// Usable returns the directory that [Make] would make a run directory in or, if others
// can write to it, below; "" if there is none. passed says of each candidate before it
// why it cannot be used. It makes nothing. dirs are the candidates; nil means
// $XDG_RUNTIME_DIR, /run/brs-exec (root only, and last but $TMPDIR if it is on a disk),
// /dev/shm, /run/user/UID, $TMPDIR and /tmp.
func Usable(dirs []string) (base string, passed []string) {
	for _, b := range basesFor(dirs) {
		path, err := b.usable()
		if err == nil {
			return path, passed
		}
		if why := b.why(err); !slices.Contains(passed, why) {
			passed = append(passed, why)
		}
	}
	return "", passed
}

// usable is check and, in place of an attempt, a question whether one would be
// allowed.
func (b base) usable() (path string, err error) {
	path, _, err = b.check()
	if b.make && errors.Is(err, os.ErrNotExist) {
		if err := mayWrite(filepath.Dir(b.path)); err != nil {
			return "", fmt.Errorf("cannot be made: %w", err)
		}
		return b.path, nil
	}
	if err != nil {
		return "", err
	}
	return path, mayWrite(path)
}

// place makes what has to be made of b, and checks it.
func (b base) place() (place, error) {
	path, info, err := b.check()
	if b.make && errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(b.path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return place{}, err
		}
		path, info, err = b.check()
	}
	if err != nil {
		return place{}, err
	}
	if !pathsafe.OthersWrite(info) {
		return place{path: path, of: b}, nil
	}
	own := ownName(path)
	err = ensureOwn(own)
	if errors.Is(err, errTaken) { // ours has one more word, and is found again by its owner
		spares := append(ownSpares(path), own+"-"+pathsafe.RandomName())
		own = spares[0]
		err = ensureOwn(own)
	}
	return place{path: own, of: b, shared: true}, err
}

// again makes a place that was removed, if nobody else has its name.
func (p place) again() error {
	if p.of.make {
		os.Mkdir(p.path, 0o700)
	}
	path, _, err := p.of.check()
	if err != nil {
		return fmt.Errorf("%s: %w", p.of.path, err)
	}
	was := p.path
	if p.shared {
		was, err = filepath.Dir(p.path), ensureOwn(p.path)
	}
	if path != was {
		return fmt.Errorf("%s leads to %s now", p.of.path, path)
	}
	return err
}

// places are those in b that this user's runs can be in.
func (b base) places() (all []place) {
	path, info, err := b.check()
	if err != nil {
		return nil
	}
	if !pathsafe.OthersWrite(info) {
		return []place{{path: path, of: b}}
	}
	for _, own := range append([]string{ownName(path)}, ownSpares(path)...) {
		if info, err := os.Lstat(own); err == nil && info.IsDir() && ours(info) {
			all = append(all, place{path: own, of: b, shared: true})
		}
	}
	return all
}

// allPlaces are those of all bases, each once.
func allPlaces(bases []base) (all []place) {
	for _, b := range bases {
		for _, p := range b.places() {
			if !slices.ContainsFunc(all, func(q place) bool { return q.path == p.path }) {
				all = append(all, p)
			}
		}
	}
	return all
}

func ownName(in string) string { return filepath.Join(in, runPrefix+strconv.Itoa(os.Geteuid())) }

// ownSpares are our directories of a longer name, as place makes them.
func ownSpares(in string) (spares []string) {
	dir, err := os.Open(in)
	if err != nil {
		return nil
	}
	prefix := filepath.Base(ownName(in)) + "-"
	names := matching(dir, func(name string) bool {
		random, ok := strings.CutPrefix(name, prefix)
		return ok && isRandom(random)
	})
	slices.Sort(names)
	for _, name := range names {
		if info, err := os.Lstat(filepath.Join(in, name)); err == nil && info.IsDir() && ours(info) {
			spares = append(spares, filepath.Join(in, name))
		}
	}
	return spares
}

// errTaken: the name is somebody else's, or something that is no directory.
var errTaken = errors.New("another user has that name")

// ensureOwn makes a directory of this user's alone, or finds it.
func ensureOwn(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		info, err = os.Lstat(path)
	}
	switch {
	case err != nil:
		return err
	case !info.IsDir() || !mine(info):
		return fmt.Errorf("%s: %w", path, errTaken)
	case runtime.GOOS != "windows" && info.Mode().Perm() != 0o700: // the umask, or the user
		return os.Chmod(path, 0o700)
	}
	return nil
}

// matching returns the names in an open directory that match, in no order, and closes it.
func matching(dir *os.File, match func(name string) bool) (names []string) {
	defer dir.Close()
	for {
		more, err := dir.Readdirnames(256) // others may have made many
		for _, name := range more {
			if match(name) {
				names = append(names, name)
			}
		}
		if err != nil {
			return names
		}
	}
}

func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// PlainPath tells whether SDKs take path as one word of a credential_process
// command: they differ in how they split and quote it, and agree on these.
func PlainPath(path string) bool { return plainOn(runtime.GOOS, path) }

func plainOn(goos, path string) bool {
	return !strings.ContainsFunc(path, func(r rune) bool {
		switch {
		case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9', strings.ContainsRune("_./-", r):
			return false
		}
		return goos != "windows" || !strings.ContainsRune(`\:~`, r) // ~ is in short names
	})
}
