package source

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// WatchFile calls changed when a file may have become another one, in place, by a rename, or
// behind a symbolic link; and once at first, for what has happened since the caller read it. It
// blocks until ctx ends, and looks twice a minute where nobody tells, as on network file systems.
func WatchFile(ctx context.Context, path string, changed func()) {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	files := []string{path}
	notify := newNotifier()
	defer notify.close()
	notify.rewatch(files)
	last, _ := os.Stat(path)
	changed()
	poll := time.NewTicker(idlePoll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-notify.events():
			notify.rewatch(files)
			last, _ = os.Stat(path)
			changed()
			continue
		case <-poll.C:
		}
		notify.rewatch(files)
		now, _ := os.Stat(path)
		if same(last, now) {
			continue
		}
		last = now
		changed()
	}
}

// same tells whether two looks at a file, nil for none, have seen the same.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
