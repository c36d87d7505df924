//go:build linux && !brs_osroot

package rundir

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// held is a directory that is held open, whatever comes to have its name. It is that of
// held_other.go with a third of the system calls: each file that [os] opens is made known to
// the poller, which takes no regular file, and [os.Root] looks for links that no name of
// ours can be.
type held struct {
	fd   int
	id   stamp
	read bool // to its end: the next listing begins anew
}

// stamp tells a file from another one, and from itself after a change.
type stamp struct {
	dev, ino     uint64
	bytes        int64
	atime, mtime unix.Timespec
}

func stampOf(st *unix.Stat_t) stamp {
	return stamp{dev: uint64(st.Dev), ino: st.Ino, bytes: st.Size, atime: st.Atim, mtime: st.Mtim}
}

func (s stamp) isSame(t stamp) bool { return s.ino == t.ino && s.dev == t.dev && s.ino != 0 }
func (s stamp) size() int64         { return s.bytes }
func (s stamp) modTime() time.Time  { return time.Unix(s.mtime.Unix()) }
func (s stamp) readTime() time.Time { return time.Unix(s.atime.Unix()) }

// retry calls again what a signal has interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func pathError(op, path string, err error) error {
	if err != nil {
		err = &fs.PathError{Op: op, Path: path, Err: err}
	}
	return err
}

func openAt(dir int, name string, flags int) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, pathsafe.FileMode)
		return err
	})
	return fd, pathError("open", name, err)
}

// hold opens a directory that this user has just made where nobody else could, and has it
// be of mode 0700: the umask may have taken from it, a set-group-id parent added to it.
func hold(path string) (*held, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY
	fd, err := openAt(unix.AT_FDCWD, path, flags)
	if errors.Is(err, fs.ErrPermission) && os.Chmod(path, 0o700) == nil { // a umask that leaves its owner nothing
		fd, err = openAt(unix.AT_FDCWD, path, flags)
	}
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	err = pathError("stat", path, retry(func() error { return unix.Fstat(fd, &st) }))
	if err == nil && st.Mode&0o7777 != 0o700 {
		err = pathError("chmod", path, retry(func() error { return unix.Fchmod(fd, 0o700) }))
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &held{fd: fd, id: stampOf(&st)}, nil
}

func (h *held) close() {
	unix.Close(h.fd)
	h.fd = -1 // nothing, and not what is opened next
}

// isAt tells whether a path leads to the directory.
func (h *held) isAt(path string) bool {
	is, err := lstatAt(unix.AT_FDCWD, path)
	return err == nil && is.isSame(h.id)
}

// open opens the directory anew, unless path leads to another one.
func (h *held) open(path string) (*os.Root, error) {
	raced := &fs.PathError{Op: "open", Path: path, Err: pathsafe.ErrRaced}
	if !h.isAt(path) { // os.OpenRoot would wait for a writer to a pipe
		return nil, raced
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Ino != h.id.ino || uint64(st.Dev) != h.id.dev {
			err = raced
		}
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// create makes a file that its owner alone may read and write, whatever the umask, and
// leaves it open.
func (h *held) create(name string, flag int, content []byte) (fd int, s stamp, err error) {
	fd, err = openAt(h.fd, name, flag|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return -1, s, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
			h.remove(name)
		}
	}()
	for len(content) > 0 {
		var n int
		err := retry(func() (err error) { n, err = unix.Write(fd, content); return err })
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return -1, s, pathError("write", name, err)
		}
		content = content[n:]
	}
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return -1, s, pathError("stat", name, err)
	}
	if st.Mode&0o7777 != pathsafe.FileMode {
		err = pathError("chmod", name, retry(func() error { return unix.Fchmod(fd, pathsafe.FileMode) }))
	}
	return fd, stampOf(&st), err
}

// write makes a file. It must not be there yet.
func (h *held) write(name string, content []byte) (stamp, error) {
	fd, s, err := h.create(name, unix.O_WRONLY, content)
	if err != nil {
		return s, err
	}
	if err := unix.Close(fd); err != nil && err != unix.EINTR { // NFS says only here that the disk is full; interrupted it is closed as well
		h.remove(name)
		return s, pathError("close", name, err)
	}
	return s, nil
}

// writeOpen is write of a file that stays open.
func (h *held) writeOpen(name string, content []byte) (*os.File, error) {
	fd, _, err := h.create(name, unix.O_RDWR, content)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func lstatAt(dir int, name string) (stamp, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return stampOf(&st), pathError("lstat", name, err)
}

func (h *held) lstat(name string) (stamp, error) { return lstatAt(h.fd, name) }

// chtimes sets the times of a file. A zero one stays as it is.
func (h *held) chtimes(name string, atime, mtime time.Time) error {
	var times [2]unix.Timespec
	for i, at := range [2]time.Time{atime, mtime} {
		times[i] = unix.Timespec{Nsec: unix.UTIME_OMIT}
		if !at.IsZero() {
			times[i] = unix.NsecToTimespec(at.UnixNano())
		}
	}
	return pathError("chtimes", name, retry(func() error { return unix.UtimesNanoAt(h.fd, name, times[:], unix.AT_SYMLINK_NOFOLLOW) }))
}

func (h *held) rename(from, to string) error {
	if err := retry(func() error { return unix.Renameat(h.fd, from, h.fd, to) }); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func (h *held) symlink(target, name string) error {
	if err := retry(func() error { return unix.Symlinkat(target, h.fd, name) }); err != nil {
		return &os.LinkError{Op: "symlink", Old: target, New: name, Err: err}
	}
	return nil
}

// remove removes a file.
func (h *held) remove(name string) error {
	return pathError("remove", name, retry(func() error { return unix.Unlinkat(h.fd, name, 0) }))
}

// removeAll removes a file, or a directory of the command's with all that is in it. path is
// that of this one.
func (h *held) removeAll(path, name string) error {
	err := h.remove(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM): // the latter is what POSIX says
		return err
	}
	root, err := h.open(path)
	if err != nil {
		return err
	}
	defer root.Close()
	return root.RemoveAll(name)
}

// names lists the directory, in no order.
func (h *held) names() (names []string, err error) {
	if h.read {
		if _, err := unix.Seek(h.fd, 0, io.SeekStart); err != nil {
			return nil, pathError("seek", ".", err)
		}
	}
	h.read = true
	buf := make([]byte, 4096)
	for {
		var n int
		err := retry(func() (err error) { n, err = unix.ReadDirent(h.fd, buf); return err })
		if err != nil || n <= 0 {
			return names, pathError("readdirent", ".", err)
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// renameNew gives a directory a name that nothing has.
func renameNew(from, to string) error {
	if unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE) == nil {
		return nil
	}
	return os.Rename(from, to) // a file system that cannot say so; else it is why
}

// removeDir removes an empty directory.
func removeDir(path string) error {
	return pathError("remove", path, retry(func() error { return unix.Rmdir(path) }))
}
