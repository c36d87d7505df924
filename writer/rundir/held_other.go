//go:build !linux || brs_osroot

package rundir

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// held is a directory that is held open, whatever comes to have its name.
type held struct {
	root *os.Root
	id   stamp
}

// stamp tells a file from another one, and from itself after a change.
type stamp struct{ info fs.FileInfo }

func (s stamp) isSame(t stamp) bool {
	return s.info != nil && t.info != nil && os.SameFile(s.info, t.info)
}
func (s stamp) size() int64         { return s.info.Size() }
func (s stamp) modTime() time.Time  { return s.info.ModTime() }
func (s stamp) readTime() time.Time { return accessTime(s.info) }

// hold opens a directory that this user has just made where nobody else could, and has it
// be of mode 0700: the umask may have taken from it, a set-group-id parent added to it.
func hold(path string) (*held, error) {
	root, err := os.OpenRoot(path)
	if errors.Is(err, fs.ErrPermission) && os.Chmod(path, 0o700) == nil { // a umask that leaves its owner nothing
		root, err = os.OpenRoot(path)
	}
	if err != nil {
		return nil, err
	}
	h := &held{root: root}
	if h.id.info, err = root.Stat("."); err == nil {
		err = root.Chmod(".", 0o700)
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return h, nil
}

func (h *held) close() { h.root.Close() }

// isAt tells whether a path leads to the directory.
func (h *held) isAt(path string) bool {
	is, err := os.Lstat(path)
	return err == nil && os.SameFile(is, h.id.info)
}

// open opens the directory anew.
func (h *held) open(string) (*os.Root, error) { return h.root.OpenRoot(".") }

// create makes a file that its owner alone may read and write, whatever the umask, and
// leaves it open.
func (h *held) create(name string, flag int, content []byte) (f *os.File, s stamp, err error) {
	f, err = h.root.OpenFile(name, flag|os.O_CREATE|os.O_EXCL, pathsafe.FileMode)
	if err != nil {
		return nil, s, err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(pathsafe.FileMode)
	}
	if err == nil {
		s.info, err = f.Stat()
	}
	if err != nil {
		f.Close()
		h.remove(name)
		return nil, s, err
	}
	return f, s, nil
}

// write makes a file. It must not be there yet.
func (h *held) write(name string, content []byte) (stamp, error) {
	f, s, err := h.create(name, os.O_WRONLY, content)
	if err != nil {
		return s, err
	}
	if err = f.Close(); err != nil {
		h.remove(name)
	}
	return s, err
}

// writeOpen is write of a file that stays open.
func (h *held) writeOpen(name string, content []byte) (*os.File, error) {
	f, _, err := h.create(name, os.O_RDWR, content)
	return f, err
}

func (h *held) lstat(name string) (s stamp, err error) {
	s.info, err = h.root.Lstat(name)
	return s, err
}

// chtimes sets the times of a file. A zero one stays as it is.
func (h *held) chtimes(name string, atime, mtime time.Time) error {
	return h.root.Chtimes(name, atime, mtime)
}

func (h *held) rename(from, to string) error      { return h.root.Rename(from, to) }
func (h *held) symlink(target, name string) error { return h.root.Symlink(target, name) }
func (h *held) remove(name string) error          { return h.root.Remove(name) }
func (h *held) removeAll(_, name string) error    { return h.root.RemoveAll(name) }

// names lists the directory, in no order.
func (h *held) names() ([]string, error) { return pathsafe.Names(h.root) }

// renameNew gives a directory a name that nothing has.
func renameNew(from, to string) error { return os.Rename(from, to) }

// removeDir removes an empty directory.
func removeDir(path string) error { return os.Remove(path) }
