//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminalSize is the size of the terminal that standard output is, if it is one.
func terminalSize() (columns, rows int, terminal bool) {
	size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, false
	}
	if size.Col == 0 { // a serial line, or a program that gives none
		return defaultWidth, 24, true
	}
	return int(size.Col), int(size.Row), true
}
