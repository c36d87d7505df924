package pathsafe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Resolve follows a path as type Place says, the last component also if it does
// not exist.
func Resolve(path string) (*Place, error) {
	if !filepath.IsAbs(path) {
		wd, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		path = wd + "/" + path
	}
	w := &walker{rest: path}
	defer w.close()
	if err := w.root(); err != nil {
		return nil, err
	}
	for {
		ends, err := w.step()
		if err != nil {
			return nil, err
		}
		if ends {
			return w.end()
		}
	}
}

// A walker is on its way.
type walker struct {
	at    *os.File // the directory reached, opened for nothing but to go on from
	path  string   // of it
	name  string   // the last component
	rest  string
	links []link
}

type link struct {
	path  string
	uid   int
	loose bool // another user may have made it where all make files
}

func (w *walker) close() {
	if w.at != nil {
		w.at.Close()
	}
}

func (w *walker) root() error {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: "/", Err: err}
	}
	w.enter(os.NewFile(uintptr(fd), "/"), "/")
	return nil
}

func (w *walker) enter(dir *os.File, path string) {
	w.close()
	w.at, w.path = dir, path
}

func (w *walker) open(name string, flags int) (*os.File, error) {
	path := filepath.Join(w.path, name)
	fd, err := unix.Openat(int(w.at.Fd()), name, flags|unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// step goes one component on. It tells whether the rest is only the name in the
// end.
func (w *walker) step() (ends bool, err error) {
	name, rest, more := strings.Cut(strings.TrimLeft(w.rest, "/"), "/")
	w.rest = rest
	last := strings.Trim(rest, "/") == ""
	switch {
	case last && (name == "" || name == "." || name == ".." || more):
		return false, fmt.Errorf("%w (d---------)", ErrNotRegular)
	case name == "" || name == ".":
		return false, nil
	}
	if !last {
		// As a directory first: that mounts what is mounted on demand.
		dir, err := w.open(name, unix.O_DIRECTORY)
		if err == nil {
			w.enter(dir, filepath.Join(w.path, name))
			return false, nil
		}
		if !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP) {
			return false, err
		}
	}
	f, err := w.open(name, 0)
	if last && errors.Is(err, fs.ErrNotExist) {
		w.name = name
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return false, err
	case info.Mode()&fs.ModeSymlink != 0:
		return false, w.follow(f, info)
	case last:
		w.name = name
		return true, nil
	}
	return false, &fs.PathError{Op: "open", Path: f.Name(), Err: unix.ENOTDIR}
}

func (w *walker) follow(f *os.File, info fs.FileInfo) error {
	in, err := w.at.Stat()
	if err != nil {
		return err
	}
	loose := in.Mode()&fs.ModeSticky != 0 && in.Mode().Perm()&0o002 != 0 && UID(in) != UID(info)
	if w.links = append(w.links, link{f.Name(), UID(info), loose}); len(w.links) > MaxLinks {
		return errors.New("too many symbolic links")
	}
	text := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(f.Fd()), "", text)
	if err != nil {
		return &fs.PathError{Op: "readlink", Path: f.Name(), Err: err}
	}
	to := string(text[:n])
	if strings.Trim(w.rest, "/") != "" {
		to += "/" + w.rest
	}
	w.rest = to
	if filepath.IsAbs(to) {
		return w.root()
	}
	return nil
}

// end checks whether the links may be followed to where they lead.
func (w *walker) end() (*Place, error) {
	info, err := w.at.Stat()
	if err != nil {
		return nil, err
	}
	to := &Place{Path: filepath.Join(w.path, w.name), Info: info, UID: UID(info)}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		to.GID = int(st.Gid)
	}
	for _, l := range w.links {
		if Foreign(l.uid) && l.uid != os.Geteuid() && (l.uid != to.UID || l.loose) {
			return nil, &LinkError{l.path, l.uid, to.UID}
		}
	}
	return to, nil
}

// As calls do with the rights of a user and a group, and no others.
//
// It is done in a thread of its own, which ends with it: the rights are those of
// threads, and nothing else may ever run with them.
func As(uid, gid int, do func() error) (err error) {
	done := make(chan struct{})
	var caught any // a panic is for the caller's goroutine, where it may be recovered
	go func() {
		defer close(done)
		defer func() { caught = recover() }()
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() { // the main thread stays as it is: take another
			defer runtime.UnlockOSThread()
			err = As(uid, gid, do)
			return
		}
		if err = become(uid, gid); err == nil {
			err = do()
		}
	}()
	<-done
	if caught != nil {
		panic(caught)
	}
	return err
}

// become changes this thread alone, which syscall.Setgroups would not.
func become(uid, gid int) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return &ActingError{uid, errno}
	}
	dumpable, derr := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	unix.SetfsgidRetGid(gid)
	unix.SetfsuidRetUid(uid)
	if derr == nil && dumpable == 0 { // for the whole process the kernel has made it fs.suid_dumpable
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	}
	// They give what was before, and no error.
	isGID, _ := unix.SetfsgidRetGid(-1)
	isUID, _ := unix.SetfsuidRetUid(-1)
	if isGID != gid || isUID != uid {
		return &ActingError{uid, unix.EPERM}
	}
	return nil
}
