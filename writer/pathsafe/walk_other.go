//go:build !linux

package pathsafe

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Resolve follows a path by names: which links may be followed is not asked here.
// The last component need not exist.
func Resolve(path string) (*Place, error) {
	for range MaxLinks {
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
			return &Place{Path: path, Info: at, UID: UID(at)}, nil
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

// As does nothing: the rights of a single thread cannot be changed here.
func As(uid, _ int, _ func() error) error { return &ActingError{uid, errors.ErrUnsupported} }
