package volume

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"brs-exec.example/brs-exec/writer/filelock"
	"brs-exec.example/brs-exec/writer/pathsafe"
)

const (
	// lockFile is locked as long as its keeper lives. It also holds what the next one has
	// to know of the endpoint, and so only its user may read it, and is believed.
	lockFile = ".brs-exec"

	tempPrefix, tempSuffix = ".brs-exec-", ".tmp"

	// maxOwn is more than any of our files has.
	maxOwn = 64 << 20
)

// held is the directory as it is open.
type held struct {
	opt     Options
	root    *os.Root
	info    fs.FileInfo // of root
	lock    *os.File
	state   string // what stood in the lock file
	notes   []string
	written map[string]written
}

type written struct {
	text string
	info fs.FileInfo
}

// openHeld opens the directory, and takes its lock.
func openHeld(o Options) (_ *held, err error) {
	h := &held{opt: o, written: map[string]written{}}
	place, root, err := pathsafe.Open(filepath.Join(o.Path, pathsafe.RandomName())) // a name that is no link
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDir(o); err != nil {
			return nil, err
		}
		place, root, err = pathsafe.Open(filepath.Join(o.Path, pathsafe.RandomName()))
	}
	if err != nil {
		return nil, err
	}
	h.root, h.info = root, place.Info
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if err := h.check(place); err != nil {
		return nil, err
	}
	if err := h.takeLock(); err != nil {
		return nil, err
	}
	return h, h.sweep()
}

// makeDir makes the directory, for those who may read the files.
func makeDir(o Options) error {
	place, parent, err := pathsafe.Open(o.Path)
	if err != nil {
		return err
	}
	defer parent.Close()
	name := filepath.Base(place.Path) // the path may be a link to it
	if err := parent.Mkdir(name, 0o700); err != nil {
		return err
	}
	return give(parent, name, o)
}

// give gives a directory that was just made to those who are to have it. The user whose the
// parent is may have put something else in its place: it is changed by its descriptor, if it
// is a directory of ours, and nothing is in it.
func give(parent *os.Root, name string, o Options) error {
	root, err := parent.OpenRoot(name)
	if err != nil {
		return err
	}
	defer root.Close()
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	info, err := dir.Stat()
	if err != nil {
		return err
	}
	if uid := pathsafe.UID(info); uid >= 0 && uid != os.Geteuid() {
		return pathsafe.ErrRaced
	}
	if _, err := dir.Readdirnames(1); !errors.Is(err, io.EOF) {
		return pathsafe.ErrRaced
	}
	if o.Owner != nil {
		if err := dir.Chown(o.Owner.UID, o.Owner.GID); err != nil {
			return err
		}
	}
	return dir.Chmod(o.Perm | o.Perm&0o444>>2)
}

// check says why nothing should be put into the directory.
func (h *held) check(p *pathsafe.Place) error {
	mode, all := p.Info.Mode(), p.Info.Mode().Perm()&0o002 != 0
	if pathsafe.Foreign(p.UID) && p.UID != os.Geteuid() && p.UID >= 0 && (h.opt.Owner == nil || h.opt.Owner.UID != p.UID) {
		return &OwnerError{h.opt.Path, p.UID}
	}
	switch {
	case all && mode&fs.ModeSticky != 0:
		return fmt.Errorf("%s: %w", h.opt.Path, ErrShared)
	case all && !h.isVolume():
		h.notes = append(h.notes, fmt.Sprintf("every user can put other files in place of those in %s (mode %04o)", h.opt.Path, mode.Perm()))
	}
	return nil
}

// isVolume tells whether the directory is where something is mounted. All in a pod may write to
// its volumes unless they are told otherwise, and nobody else can reach them.
func (h *held) isVolume() bool {
	return device(stat(h.opt.Path)) != device(stat(filepath.Dir(h.opt.Path)))
}

func (h *held) isThere() bool {
	is := stat(h.opt.Path)
	if is != nil && is.Mode()&fs.ModeSymlink != 0 {
		is, _ = os.Stat(h.opt.Path)
	}
	return is != nil && os.SameFile(is, h.info)
}

// takeLock takes the lock, and reads what the last one who had it left there.
func (h *held) takeLock() (err error) {
	for {
		h.lock, err = pathsafe.OpenOwn(h.root, lockFile, os.O_RDWR, os.Geteuid())
		if errors.Is(err, fs.ErrNotExist) {
			h.lock, err = pathsafe.CreateOwn(h.root, lockFile)
		}
		switch {
		case errors.Is(err, fs.ErrExist), errors.Is(err, pathsafe.ErrRaced):
			continue
		case errors.As(err, new(*pathsafe.NotOwnError)):
			return fmt.Errorf("%w: %w", err, ErrLeft)
		case err != nil:
			return err
		}
		text, rerr := pathsafe.ReadAll(h.lock)
		first, rest, _ := strings.Cut(string(text), "\n")
		pid, lives := filelock.Holder([]byte(first))
		err = filelock.Try(h.lock)
		if errors.Is(err, filelock.ErrLocked) || errors.Is(err, filelock.ErrNoLocks) && lives {
			return fmt.Errorf("%s: kept by pid %d: %w", h.opt.Path, pid, filelock.ErrLocked)
		}
		if err != nil && !errors.Is(err, filelock.ErrNoLocks) {
			return fmt.Errorf("lock %s: %w", h.opt.Path, err)
		}
		if !filelock.IsNamed(h.lock, h.root, lockFile) { // its keeper has just removed it
			h.lock.Close()
			continue
		}
		if rerr == nil && json.Valid([]byte(rest)) {
			h.state = strings.TrimSpace(rest)
		}
		return h.setState(h.state)
	}
}

// setState writes the lock file: who we are, and what the next one is to know.
func (h *held) setState(state string) error {
	text := filelock.Me() + "\n" + state + "\n"
	if _, err := h.lock.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	h.state = state
	return h.lock.Truncate(int64(len(text)))
}

// copyState takes over what another one held.
func (h *held) copyState(from *held) { _ = h.setState(from.state) }

// sweep removes what a killed keeper had begun to write.
func (h *held) sweep() error {
	names, err := pathsafe.Names(h.root)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix) {
			h.root.Remove(name)
		}
	}
	return nil
}

// missing tells whether one of the files is not there.
func (h *held) missing(files map[string]string) bool {
	for name := range files {
		if _, err := h.root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// put gives name to a new file with this content, in one step for readers, unless it is
// there already. What is there and is not ours stays.
func (h *held) put(name, text string) (err error) {
	is, err := h.root.Lstat(name)
	switch last := h.written[name]; {
	case err == nil && last.info != nil && os.SameFile(last.info, is) && is.ModTime().Equal(last.info.ModTime()) && is.Size() == last.info.Size():
		if last.text == text {
			return nil
		}
	case err == nil:
		if err := h.isOurs(name); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	temp := tempPrefix + pathsafe.RandomName() + tempSuffix
	f, err := pathsafe.CreateOwn(h.root, temp)
	if err != nil {
		return fmt.Errorf("write to %s: %w", h.opt.Path, pathsafe.Reason(err))
	}
	defer func() {
		if err != nil {
			f.Close()
			h.root.Remove(temp)
			err = fmt.Errorf("write %s: %w", filepath.Join(h.opt.Path, name), pathsafe.Reason(err))
		}
	}()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	if o := h.opt.Owner; o != nil {
		if err := f.Chown(o.UID, o.GID); err != nil {
			return err
		}
	}
	if err := f.Chmod(h.opt.Perm); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := h.root.Rename(temp, name); err != nil {
		return err
	}
	info, err := h.root.Lstat(name)
	h.written[name] = written{text, info}
	return err
}

// isOurs says why a file of one of our names is not from us.
func (h *held) isOurs(name string) error {
	f, info, err := pathsafe.OpenRegular(h.root, name, os.O_RDONLY)
	if err == nil {
		defer f.Close()
		var text []byte
		if info.Size() <= maxOwn {
			text, err = pathsafe.ReadAll(f)
		}
		if err == nil && ours(name, string(text)) {
			return nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err = pathsafe.Reason(err)
	if err != nil {
		return fmt.Errorf("%s %w: %w", filepath.Join(h.opt.Path, name), ErrForeign, err)
	}
	return fmt.Errorf("%s %w", filepath.Join(h.opt.Path, name), ErrForeign)
}

// remove removes a file that we have written, or one of a killed keeper.
func (h *held) remove(name string) error {
	if err := h.isOurs(name); err != nil {
		return err
	}
	delete(h.written, name)
	return h.root.Remove(name)
}

func (h *held) close() {
	if h.lock != nil {
		h.lock.Close()
	}
	h.root.Close()
}
