package cache

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// lookEvery is how often one looks at what no event may have told: on network file systems,
// where there are no watches left, and when the directory was made anew.
const lookEvery = 30 * time.Second

// watchAfter is when events begin to be told: a process that ends before has no use for
// them, and to give inotify back takes Linux 10 ms.
const watchAfter = time.Second

// watch tells of entries that other processes write. It is one for the whole process, and
// has goroutines only as long as somebody wants to know.
type watch struct {
	mu   sync.Mutex // guards what follows
	last int
	of   map[int]watched
	stop chan struct{} // nil: nobody wants to know
}

type watched struct {
	key     func() Key
	changed func()
}

// Watch calls changed when the entry of a key may have been replaced, also by this
// process, and at times without a reason. key is asked each time. It must not block, and
// is not called after stop has returned.
func (c *Cache) Watch(key func() Key, changed func()) (stop func()) {
	w := &c.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	id := w.last
	if w.of == nil {
		w.of = map[int]watched{}
	}
	w.of[id] = watched{key, changed}
	if w.stop == nil {
		w.stop = make(chan struct{})
		go c.look(w.stop)
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.of, id)
		if len(w.of) == 0 && w.stop != nil {
			close(w.stop)
			w.stop = nil
		}
	}
}

// look tells of events until stop.
func (c *Cache) look(stop chan struct{}) {
	timer := time.NewTimer(watchAfter)
	defer timer.Stop()
	var events *fsnotify.Watcher // nil: none
	var came <-chan fsnotify.Event
	var lost <-chan error
	var seen os.FileInfo // the directory, when all were last told
	for {
		select {
		case <-stop:
			return
		case e, ok := <-came:
			if !ok {
				came = nil
			} else if e.Has(fsnotify.Create) { // it was renamed to that
				c.tell(stop, Key(filepath.Base(e.Name)))
			}
		case <-lost: // some of them
			c.tell(stop, "")
		case <-timer.C:
			if events == nil && !c.virtual.Load() {
				if w, err := fsnotify.NewWatcher(); err == nil {
					defer w.Close()
					events, came, lost = w, w.Events, w.Errors
				}
			}
			if events != nil {
				events.Add(c.path) // the directory may be another one by now; else it does nothing
			}
			now, err := os.Lstat(c.path)
			if err != nil || seen == nil || !os.SameFile(now, seen) || !now.ModTime().Equal(seen.ModTime()) {
				seen = now
				c.tell(stop, "")
			}
			timer.Reset(lookEvery)
		}
	}
}

// tell tells who wants to know of a key; "" is all.
func (c *Cache) tell(stop chan struct{}, key Key) {
	c.watch.mu.Lock()
	defer c.watch.mu.Unlock()
	if c.watch.stop != stop {
		return
	}
	for _, w := range slices.Collect(maps.Values(c.watch.of)) {
		if key == "" || w.key() == key {
			w.changed()
		}
	}
}
