package job

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// Inherited lists the descriptors from 3 up that we were given and that a child
// of ours gets, too: those that are not close-on-exec. (All that Go opens are.)
func Inherited() []int {
	candidates, err := numbers("/proc/self/fd")
	if err != nil {
		for fd := range 1024 { // no /proc: those that a shell would use
			candidates = append(candidates, fd)
		}
	}
	var list []int
	for _, fd := range candidates {
		if fd < 3 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			list = append(list, fd)
		}
	}
	return list
}

// numbers lists the names in a directory that are numbers. It does without os.ReadDir, which
// sorts and asks the poller about the directory: this is on the way of every start.
func numbers(dir string) (list []int, err error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var buf [4096]byte
	var names []string
	for {
		n, err := unix.Getdents(fd, buf[:])
		if err != nil || n <= 0 {
			return list, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, name := range names {
			if number, err := strconv.Atoi(name); err == nil {
				list = append(list, number)
			}
		}
	}
}
