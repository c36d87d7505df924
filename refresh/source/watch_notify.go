package source

import (
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// notifier tells of events in the directories on the way to files. A watch of the
// file itself would stay with the one that a rename has replaced, and miss that
// Kubernetes switches the symbolic link ..data, which is not even the file's own.
// Where there are no watches to be had, and for sources that keep no file, it is
// silent, and polling is all there is. The zero value is silent, too.
type notifier struct {
	w    *fsnotify.Watcher // nil: none
	out  chan struct{}     // room for one
	done chan struct{}     // its goroutine has ended

	mu    sync.Mutex
	names map[string]bool // whose events count: what is on the way to a file, and the directories of that
}

func newNotifier() *notifier {
	n := &notifier{out: make(chan struct{}, 1), done: make(chan struct{})}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return n
	}
	n.w = w
	go n.forward()
	return n
}

// events has something to receive once something may have changed.
func (n *notifier) events() <-chan struct{} { return n.out }

// forward takes everything that the watcher says, lest it block, and passes on what is
// about the file: others may be busy in its directory.
func (n *notifier) forward() {
	defer close(n.done)
	for {
		select {
		case e, ok := <-n.w.Events:
			if !ok {
				return
			}
			if !n.concerns(e.Name) {
				continue
			}
		case _, ok := <-n.w.Errors: // an overflow: look, too
			if !ok {
				return
			}
		}
		select {
		case n.out <- struct{}{}:
		default:
		}
	}
}

func (n *notifier) concerns(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.names[filepath.Clean(name)]
}

// rewatch watches what is on the way to the files now.
func (n *notifier) rewatch(files []string) {
	if n.w == nil {
		return
	}
	dirs, names := map[string]bool{}, map[string]bool{}
	for _, path := range files {
		for _, e := range pathEntries(path) {
			dirs[filepath.Dir(e)] = true
			names[e], names[filepath.Dir(e)] = true, true
		}
	}
	n.mu.Lock()
	n.names = names
	n.mu.Unlock()
	for _, old := range n.w.WatchList() {
		if !dirs[old] {
			n.w.Remove(old)
		}
	}
	for d := range dirs {
		n.w.Add(d) // if it cannot be, there is the poll
	}
}

func (n *notifier) close() {
	if n.w != nil {
		n.w.Close()
		<-n.done
	}
}

// pathEntries lists the entries that decide about where an absolute path leads: the file, each
// symbolic link on the way to it, or else what is missing.
func pathEntries(path string) []string {
	const most = 40 // links, as Linux allows
	var entries []string
	volume := filepath.VolumeName(path)
	at, rest := volume+string(filepath.Separator), strings.TrimPrefix(path, volume)
	for links := 0; ; {
		rest = strings.TrimLeft(rest, string(filepath.Separator))
		name, more, _ := strings.Cut(rest, string(filepath.Separator))
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		link := ""
		if err == nil && info.Mode()&os.ModeSymlink != 0 {
			link, err = os.Readlink(next)
		}
		switch {
		case err != nil, link == "" && more == "":
			return append(entries, next)
		case link == "":
			at, rest = next, more
			continue
		}
		entries = append(entries, next)
		if links++; links > most {
			return entries
		}
		if filepath.IsAbs(link) {
			at, link = volume+string(filepath.Separator), strings.TrimPrefix(link, filepath.VolumeName(link))
		}
		rest = filepath.Join(link, more)
		for rest == ".." || strings.HasPrefix(rest, ".."+string(filepath.Separator)) {
			at, rest = filepath.Dir(at), strings.TrimPrefix(strings.TrimPrefix(rest, ".."), string(filepath.Separator))
		}
	}
}
