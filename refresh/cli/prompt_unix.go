//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

func openTerminal() (in, out *os.File, err error) {
	tty, err := os.OpenFile(terminalPath, os.O_RDWR, 0)
	return tty, tty, err
}

const terminalPath = "/dev/tty"

// findTerminal does without a file of package os, which would join the poller for it.
func findTerminal() bool {
	fd, err := unix.Open(terminalPath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err == nil
}
