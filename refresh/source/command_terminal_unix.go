//go:build unix

package source

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminal is the one that we were started from, lent to a program that may ask on it.
type terminal struct {
	*os.File
	modes *unix.Termios
}

// openTerminal gives nil if there is none, or if it is not ours now: what reads from
// it in the background is stopped, and we with it.
func openTerminal() *terminal {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil
	}
	t := &terminal{File: os.NewFile(uintptr(fd), "/dev/tty")}
	if t.modes, err = unix.IoctlGetTermios(fd, getModes); err != nil || !t.ours() {
		t.Close()
		return nil
	}
	return t
}

func (t *terminal) ours() bool {
	pgrp, err := unix.IoctlGetInt(int(t.Fd()), unix.TIOCGPGRP)
	return err == nil && pgrp == unix.Getpgrp()
}

// back takes the terminal back from a program that has failed, or was killed: it may
// have left it without an echo, and what was typed and not read must not be the next
// program's.
func (t *terminal) back() {
	if t.ours() {
		unix.IoctlSetTermios(int(t.Fd()), setModes, t.modes)
	}
}

// errors says whether our standard error goes to a terminal.
func (t *terminal) errors() bool {
	_, err := unix.IoctlGetTermios(2, getModes)
	return err == nil
}
