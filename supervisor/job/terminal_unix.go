//go:build unix

package job

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// terminal is our controlling terminal. Its methods take nil for "none".
type terminal struct{ fd int }

func openTerminal() *terminal {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err == nil {
		return &terminal{fd}
	}
	if err == unix.ENXIO { // the device is there, a terminal is not
		return nil
	}
	// No usable /dev. Only our controlling terminal answers TIOCGPGRP.
	for fd := range 3 {
		if _, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil {
			continue
		}
		if fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3); err == nil {
			return &terminal{fd}
		}
	}
	return nil
}

// foreground returns the foreground process group, 0 if that is in a PID
// namespace we can't see, -1 if the terminal is gone.
func (t *terminal) foreground() int {
	pgrp, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if err != nil {
		return -1
	}
	return pgrp
}

// setForeground makes pgrp the foreground process group. A process in the background
// that does this gets SIGTTOU unless it blocks it, and signal masks are per
// thread.
func (t *terminal) setForeground(pgrp int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	restore := blockTTOU()
	// The group may have ended, or the terminal: nothing to be done then.
	_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, pgrp)
	restore()
}

func (t *terminal) close() {
	if t != nil {
		unix.Close(t.fd)
	}
}
