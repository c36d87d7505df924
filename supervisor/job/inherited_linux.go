package job

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Inherited lists the descriptors from 3 up that we were given and that a child
// of ours gets, too: those that are not close-on-exec. (All that Go opens are.)
func Inherited() []int {
	var candidates []int
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		for _, e := range entries {
			if fd, err := strconv.Atoi(e.Name()); err == nil {
				candidates = append(candidates, fd)
			}
		}
	} else {
		for fd := range 1024 { // no /proc: those that a shell would use
			candidates = append(candidates, fd)
		}
	}
	var list []int
	for _, fd := range candidates {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); fd > 2 && err == nil && flags&unix.FD_CLOEXEC == 0 {
			list = append(list, fd)
		}
	}
	return list
}
