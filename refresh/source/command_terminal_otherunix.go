//go:build unix && !linux

package source

import "golang.org/x/sys/unix"

const getModes, setModes = unix.TIOCGETA, unix.TIOCSETAF // F: what was typed is forgotten
