package process

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// maxState is more than any state has: SDKs refuse answers of a fraction of it.
const maxState = 64 << 10

// openOwn opens a regular file that belongs to the owner of the directory that it
// is in. It does not wait for the other end of a pipe.
func openOwn(dir *os.Root, name string) (*os.File, error) {
	f, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	var in os.FileInfo
	if err == nil {
		in, err = dir.Stat(".")
	}
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New(name + " is not a regular file")
	case !sameOwner(info, in):
		err = errors.New(name + " is another user's")
	default:
		return f, nil
	}
	f.Close()
	return nil, err
}

// readState reads a state file in dir. Whoever remembers dir may outlive the
// run, and somebody else have made a directory of that name: what is in it is
// believed only if it is ours.
func readState(dir, name string) ([]byte, error) {
	named, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Stat(".")
	if err != nil {
		return nil, err
	}
	if !os.SameFile(named, info) {
		return nil, errors.New(dir + " is a link")
	}
	if err := trusted(dir, info); err != nil {
		return nil, err
	}
	f, err := openOwn(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err == nil && len(data) > maxState {
		err = errors.New(name + " is too large")
	}
	return data, err
}
