//go:build brs_pkcs11 && cgo && unix

package keyfile

import (
	"os"
	"strconv"
	"syscall"
)

// sealed runs f, in which a module may open files and connections, and keeps them
// from the command: C libraries often leave that to who starts a process. Without
// syscall.ForkLock, which a module that hangs would hold for good.
func sealed(f func()) {
	before := openFiles()
	f()
	for fd := range openFiles() {
		if !before[fd] {
			syscall.CloseOnExec(fd)
		}
	}
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
