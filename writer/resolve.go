package writer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const maxSymlinks = 40 // as Linux

// resolve returns the path of the file that path leads to, through symbolic
// links; the file itself need not exist.
func resolve(path string) (string, error) {
	for range maxSymlinks {
		// Not Dir and Base: they take ".." off before links are followed, while
		// the kernel goes up from where a link has led.
		dir, name := filepath.Split(path)
		if dir == "" {
			dir = "."
		}
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return "", err
		}
		if path, err = filepath.Abs(filepath.Join(dir, name)); err != nil {
			return "", err
		}
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return path, nil
		}
		link, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(link) {
			link = dir + string(filepath.Separator) + link
		}
		path = link
	}
	return "", errors.New("too many symbolic links")
}

// readRegular returns the content of the file, and nil twice if there is none.
func readRegular(path string) ([]byte, fs.FileInfo, error) {
	info, err := statRegular(path)
	if info == nil {
		return nil, nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	if data == nil {
		data = []byte{}
	}
	return data, info, nil
}

// statRegular is readRegular without opening the file.
func statRegular(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("not a regular file (%s)", info.Mode().Type())
	}
	return info, nil
}
