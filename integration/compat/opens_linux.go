package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// opens counts how often the files of brs-exec's run directory are opened: the
// state by each start of the credential process, the credentials file by its
// readers. brs-exec replaces them by renaming, and opens none of them itself.
type opens struct {
	fd, wake int
	parent   string
	mu       sync.Mutex // guards counts
	counts   map[string]int
	stopped  chan struct{}
}

// watchOpens watches the run directory that will be made in parent.
func watchOpens(parent string) (*opens, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	o := &opens{fd: fd, wake: wake, parent: parent, counts: map[string]int{}, stopped: make(chan struct{})}
	if _, err := unix.InotifyAddWatch(fd, parent, unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		unix.Close(fd)
		unix.Close(wake)
		return nil, fmt.Errorf("watch %s: %w", parent, err)
	}
	go o.watch()
	return o, nil
}

func (o *opens) watch() {
	defer close(o.stopped)
	buffer := make([]byte, 64<<10)
	for {
		polled := []unix.PollFd{{Fd: int32(o.fd), Events: unix.POLLIN}, {Fd: int32(o.wake), Events: unix.POLLIN}}
		if _, err := unix.Poll(polled, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		n, err := unix.Read(o.fd, buffer)
		if err == nil {
			o.events(buffer[:n])
			continue
		}
		if polled[1].Revents != 0 {
			return
		}
	}
}

func (o *opens) events(b []byte) {
	for len(b) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(b[4:])
		length := int(binary.NativeEndian.Uint32(b[12:]))
		name := string(bytes.TrimRight(b[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+length], "\x00"))
		b = b[unix.SizeofInotifyEvent+length:]
		switch {
		case mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0 && mask&unix.IN_ISDIR != 0 && strings.HasPrefix(name, "brs-exec-"):
			unix.InotifyAddWatch(o.fd, filepath.Join(o.parent, name), unix.IN_OPEN)
		case mask&unix.IN_OPEN != 0 && mask&unix.IN_ISDIR == 0:
			o.count(name)
		}
	}
}

func (o *opens) count(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts[name]++
}

// stop ends the watching and returns a count for each file.
func (o *opens) stop() (state, credentials int) {
	unix.Write(o.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	<-o.stopped
	unix.Close(o.fd)
	unix.Close(o.wake)
	return o.counts["state"], o.counts["credentials"]
}
