package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// Open finds the directory of this user's cache, and makes it. dir is where it is to be;
// "" is the first of these that can be used:
//
//   - /dev/shm/brs-exec-share-UID: memory, which no disk keeps, no backup copies and no
//     other machine mounts, and which is empty after a boot. It is the same for a shell,
//     cron and a unit, as $XDG_RUNTIME_DIR is not, and is there without a login, as
//     /run/user/UID is not.
//   - /run/user/UID/brs-exec-share, which is memory as well.
//   - brs-exec/share in the directory of the user's caches ($XDG_CACHE_HOME, ~/.cache), if
//     the home is the user's own: on a disk.
//
// /tmp is none of them: anybody can have taken a name there.
//
// All of a process have one Cache of a directory, and so one watch.
func Open(dir string) (*Cache, error) {
	opened.Lock()
	defer opened.Unlock()
	if c := opened.of[dir]; c != nil {
		return c, nil
	}
	c, err := find(dir, (*Cache).make)
	if err != nil {
		return nil, err
	}
	opened.of[dir] = c
	return c, nil
}

var opened = struct {
	sync.Mutex
	of map[string]*Cache
}{of: map[string]*Cache{}}

// Check says why [Open] would fail, and makes nothing.
func Check(dir string) error {
	_, err := find(dir, (*Cache).usable)
	return err
}

// find returns the first place that try says no error of.
func find(dir string, try func(*Cache) error) (*Cache, error) {
	if dir != "" {
		if !filepath.IsAbs(dir) {
			return nil, fmt.Errorf("%s: not an absolute path", dir)
		}
		c := &Cache{path: filepath.Clean(dir)}
		return c, try(c)
	}
	var passed []string
	for _, c := range candidates() {
		err := try(c)
		if err == nil {
			c.Passed = passed
			return c, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			passed = append(passed, err.Error())
		}
	}
	if len(passed) > 0 {
		return nil, errors.New(passed[0])
	}
	return nil, errors.New("neither /dev/shm, /run/user nor a home of the user's own is there")
}

func candidates() (list []*Cache) {
	if runtime.GOOS != "windows" {
		uid := strconv.Itoa(os.Geteuid())
		list = append(list, &Cache{path: "/dev/shm/brs-exec-share-" + uid}, &Cache{path: "/run/user/" + uid + "/brs-exec-share"})
	}
	home, err := os.UserHomeDir()
	if caches, err2 := os.UserCacheDir(); err == nil && err2 == nil && owned(home) {
		list = append(list, &Cache{path: filepath.Join(caches, "brs-exec", "share"), inHome: true})
	}
	return list
}

// owned tells whether a directory is this user's own.
func owned(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() && mine(info)
}

// InVirtualTime is for tests whose clock is not the machine's: nothing is told of by events,
// which come from outside of it, and no clock is looked at but that of time.Now.
func (c *Cache) InVirtualTime() { c.virtual.Store(true) }

// Dir is the path of the directory.
func (c *Cache) Dir() string { return c.path }

// usable says why the directory cannot be used, or made.
func (c *Cache) usable() error {
	place, parent, err := c.parent()
	if c.inHome && errors.Is(err, fs.ErrNotExist) {
		return nil // open makes its parents as well
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	named, err := parent.Lstat(filepath.Base(place.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := pathsafe.MayMake(parent); err != nil {
			return fmt.Errorf("%s: %w", c.path, pathsafe.Reason(err))
		}
		return nil
	case err == nil:
		err = alone(named)
	}
	if err != nil {
		return fmt.Errorf("%s %w", c.path, pathsafe.Reason(err))
	}
	return nil
}

// parent opens the directory that it is in.
func (c *Cache) parent() (*pathsafe.Place, *os.Root, error) {
	place, parent, err := pathsafe.Open(c.path)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", c.path, pathsafe.Reason(err))
	}
	if err := trusted(place); err != nil {
		parent.Close()
		return nil, nil, fmt.Errorf("%s %w", filepath.Dir(place.Path), err)
	}
	return place, parent, nil
}

// make makes the directory, if it is not there, and says why it cannot be used.
func (c *Cache) make() error {
	dir, err := c.open()
	if err == nil {
		dir.Close()
	}
	return err
}

// open opens the directory, and with it the one that was checked. systemd takes those in
// memory away when the user's last login ends, so that it may have to be made again.
func (c *Cache) open() (*os.Root, error) {
	if c.inHome {
		os.MkdirAll(filepath.Dir(c.path), 0o700)
	}
	place, parent, err := c.parent()
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	name := filepath.Base(place.Path)
	named, err := parent.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := parent.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("%s: %w", c.path, pathsafe.Reason(err))
		}
		named, err = parent.Lstat(name)
	}
	if err == nil {
		err = alone(named)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %w", c.path, pathsafe.Reason(err))
	}
	dir, err := parent.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.path, pathsafe.Reason(err))
	}
	if is, err := dir.Stat("."); err != nil || !os.SameFile(named, is) {
		dir.Close()
		return nil, fmt.Errorf("%s: %w", c.path, pathsafe.ErrRaced)
	}
	return dir, nil
}
