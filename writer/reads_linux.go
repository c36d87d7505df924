package writer

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// watch asks the kernel for the openings and the renames in dir (inotify(7)).
// What it returns sleeps in the runtime's poller until there is one.
func (r *readWatch) watch(dir string) (func(context.Context) error, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch readers of %s: inotify: %w", dir, err)
	}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_OPEN|unix.IN_MOVED_TO|unix.IN_ONLYDIR); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watch readers of %s: %w", dir, err)
	}
	queue := os.NewFile(uintptr(fd), "inotify")
	return func(ctx context.Context) error {
		defer queue.Close()
		stop := context.AfterFunc(ctx, func() { queue.Close() })
		defer stop()
		buffer := make([]byte, 4096)
		for {
			n, err := queue.Read(buffer)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return fmt.Errorf("watch readers of %s: %w", dir, err)
			}
			r.events(buffer[:n], time.Now())
		}
	}, nil
}

// readAt returns when a file was first read since it was written. With relatime,
// the default, that is when its access time moves past the time of its writing
// (mount(8)).
func readAt(path string) (time.Time, bool) {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return time.Time{}, false
	}
	at, written := time.Unix(st.Atim.Unix()), time.Unix(st.Mtim.Unix())
	return at, at.After(written)
}

// events reads struct inotify_event: wd, mask, cookie, len and the name in len
// bytes, the last of them zero.
func (r *readWatch) events(b []byte, now time.Time) {
	for len(b) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(b[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
		if end > len(b) {
			return
		}
		name := string(bytes.TrimRight(b[unix.SizeofInotifyEvent:end], "\x00"))
		b = b[end:]
		switch {
		case mask&unix.IN_Q_OVERFLOW != 0:
			r.overflowed(now)
		case mask&unix.IN_MOVED_TO != 0:
			r.renamed(name)
		case mask&unix.IN_OPEN != 0:
			r.opened(name, now)
		}
	}
}
