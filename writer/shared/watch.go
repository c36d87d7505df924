package shared

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/pathsafe"
	"brs-exec.example/brs-exec/writer/replace"
)

const (
	// settleTime is how long a file must be left alone before it is looked at,
	// and one that is empty or does not parse may take to get better: editors
	// and other tools change a file in several steps.
	settleTime = time.Second
	// pollEvery is how often the file is looked at where the system does not
	// say that it has changed.
	pollEvery = 30 * time.Second
)

// Run puts the keys back when another program has removed or changed them, once
// for each delivery: after that whoever changes them again has
// them until the next refresh. It returns nil when ctx ends, and costs nothing
// until the file changes.
func (s *File) Run(ctx context.Context) error {
	watch := s.newWatch()
	defer watch.close()
	s.reconcile(ctx) // what happened before we watched
	for watch.wait(ctx) == nil {
		watch.follow() // first: what happens from here on is seen
		s.reconcile(ctx)
	}
	return nil
}

// reconcile puts the keys back if they are not in the file.
func (s *File) reconcile(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked++
	if !s.wrote || s.failed || ctx.Err() != nil {
		return
	}
	intact, err := s.intact()
	switch {
	case err != nil:
		s.tell(s.opt.Path+" was changed by another program and is left alone until the next refresh (%v)", err)
		return
	case intact:
		return
	case s.reconciled:
		s.tell("%v", errors.New("the keys in "+s.opt.Path+" were changed by another program again: they are left alone until the next refresh"))
		return
	}
	s.reconciled = true
	if err := s.write(ctx); err != nil {
		s.tell("the keys in "+s.opt.Path+" were changed by another program and could not be put back (%v)", err)
		return
	}
	s.notify("the keys in %s were changed by another program: put back", s.opt.Path)
}

// intact tells whether writing the credentials would change nothing.
func (s *File) intact() (bool, error) {
	if !slices.ContainsFunc(s.profiles, (*profile).holds) {
		return true, nil
	}
	var now *replace.Content
	err := s.target.At(func(p *replace.Location) (err error) { now, err = p.Read(); return err })
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || now == nil {
		return false, err
	}
	if s.knows(now.Data) {
		return true, nil
	}
	f, err := ini.Parse(s.opt.Path, now.Data)
	if err != nil {
		return false, err
	}
	for _, p := range s.profiles {
		if p.creds.id != "" {
			p.apply(f, p.creds)
		}
	}
	return string(f.Bytes()) == string(now.Data), nil
}

// watch watches the directories that lead to a file, not the file: that
// is another one after each rename.
type watch struct {
	s        *File
	watcher  *fsnotify.Watcher // nil if the system does not say what changes
	events   <-chan fsnotify.Event
	errors   <-chan error // some events are lost
	watched  []string
	names    []string // full paths whose change is one of the file
	complete bool     // all directories are watched
}

func (s *File) newWatch() *watch {
	w := &watch{s: s}
	err := s.opt.noEvents
	if err == nil {
		if w.watcher, err = fsnotify.NewWatcher(); err == nil {
			w.events, w.errors = w.watcher.Events, w.watcher.Errors
			err = w.follow()
		}
	}
	if err != nil {
		w.close()
		*w = watch{s: s}
		s.notify("%s is looked at every %s, as the system does not say when it changes (%v)", s.opt.Path, s.opt.every, err)
	}
	return w
}

func (w *watch) close() {
	if w.watcher != nil {
		w.watcher.Close()
	}
}

// follow makes the watches those of where the path leads now. On an error the
// next wait ends by itself.
func (w *watch) follow() error {
	if w.watcher == nil {
		return nil
	}
	dirs, names := leads(w.s.opt.Path)
	w.s.mu.Lock()
	if w.s.inPlace && len(names) > 0 { // what is written to it from elsewhere is not seen in its directory
		dirs = append(dirs, names[len(names)-1])
	}
	w.s.mu.Unlock()
	for _, dir := range w.watched {
		if !slices.Contains(dirs, dir) {
			w.watcher.Remove(dir)
		}
	}
	w.watched, w.names, w.complete = nil, names, len(dirs) > 0
	var failed error
	for _, dir := range dirs {
		if err := w.watcher.Add(dir); err != nil {
			w.complete, failed = false, err
			continue
		}
		w.watched = append(w.watched, dir)
	}
	return failed
}

// wait returns nil some time after the file may have changed, and an error when
// ctx ends.
func (w *watch) wait(ctx context.Context) error {
	settled := time.NewTimer(time.Hour)
	settled.Stop()
	defer settled.Stop()
	if !w.complete {
		settled.Reset(w.s.opt.every)
	}
	var first time.Time // of the changes that are waited out
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-settled.C:
			return nil
		case <-w.s.moved:
			return nil
		case e, ok := <-w.events:
			if !ok {
				<-ctx.Done()
				return ctx.Err()
			}
			if !w.concerns(e) {
				continue
			}
		case <-w.errors:
		}
		if first.IsZero() {
			first = time.Now()
		}
		// A file that never comes to rest is looked at all the same.
		if time.Since(first) < 10*w.s.opt.settle {
			settled.Reset(w.s.opt.settle)
		}
	}
}

func (w *watch) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	// "..data" is what Kubernetes turns to change all files of a volume at once.
	return slices.Contains(w.names, e.Name) || slices.Contains(w.watched, e.Name) || filepath.Base(e.Name) == "..data"
}

// leads returns the directories in which a change of a name can make path
// another file, and these names.
func leads(path string) (dirs, names []string) {
	for range pathsafe.MaxLinks {
		dir, name := filepath.Split(path)
		if dir == "" {
			dir = "."
		}
		// The directory's own links: "..data" in "x/..data/credentials".
		if links := filepath.Clean(dir); filepath.Base(links) == "..data" {
			dirs = appendNew(dirs, filepath.Dir(links))
		}
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return dirs, names
		}
		if real, err = filepath.Abs(real); err != nil {
			return dirs, names
		}
		dirs = appendNew(dirs, real)
		names = append(names, filepath.Join(real, name))
		link, err := os.Readlink(filepath.Join(real, name))
		if err != nil {
			return dirs, names
		}
		if path = link; !filepath.IsAbs(link) {
			path = strings.TrimSuffix(real, string(filepath.Separator)) + string(filepath.Separator) + link
		}
	}
	return dirs, names
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
