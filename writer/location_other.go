//go:build !linux

package writer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// walked is where a path leads to.
type walked struct {
	path         string // without links
	dir          fs.FileInfo
	owner, group int // of the directory
}

// walk follows a path by names: which links may be followed is not asked here.
// The last component need not exist.
func walk(path string) (*walked, error) {
	for range maxLinks {
		// Not Dir and Base: they take ".." off before links are followed, while
		// the kernel goes up from where a link has led.
		dir, name := filepath.Split(path)
		if dir == "" {
			dir = "."
		}
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return nil, err
		}
		if path, err = filepath.Abs(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
		info, err := os.Lstat(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			at, err := os.Stat(filepath.Dir(path))
			if err != nil {
				return nil, err
			}
			return &walked{path: path, dir: at, owner: uidOf(at)}, nil
		}
		link, err := os.Readlink(path)
		if err != nil {
			return nil, err
		}
		if !filepath.IsAbs(link) {
			link = dir + string(filepath.Separator) + link
		}
		path = link
	}
	return nil, errors.New("too many symbolic links")
}

// foreign tells whether a user is not root.
func foreign(uid int) bool { return uid > 0 }

// as does nothing: the rights of a single thread cannot be changed here.
func as(uid, _ int, _ func() error) error { return &actingError{uid, errors.ErrUnsupported} }
