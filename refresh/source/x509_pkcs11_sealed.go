//go:build brs_pkcs11 && cgo && unix

package source

import (
	"os"
	"strconv"
	"syscall"
)

// sealed runs f, in which a module may open files and connections, and keeps them
// from the command: C libraries often leave that to who starts a process. No
// process is started meanwhile, but while a token signs one may, since a person may
// have to touch it first.
func sealed(f func() error) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	before := openFiles()
	err := f()
	for fd := range openFiles() {
		if !before[fd] {
			syscall.CloseOnExec(fd)
		}
	}
	return err
}

// openFiles are the numbers of what is open now; empty where no one tells.
func openFiles() map[int]bool {
	open := map[int]bool{}
	dir, err := os.Open("/dev/fd") // on Linux a link to /proc/self/fd
	if err != nil {
		return open
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if fd, err := strconv.Atoi(name); err == nil && fd != int(dir.Fd()) {
			open[fd] = true
		}
	}
	return open
}
