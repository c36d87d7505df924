//go:build unix

package job

import "golang.org/x/sys/unix"

// Detach closes the given descriptors and puts /dev/null on 0 and 1 (as it is
// without /dev), once a child has them: the other end of a pipe must see when the
// child closes its own.
func Detach(fds []int) {
	if null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		for fd := range 2 {
			_ = unix.Dup2(null, fd)
		}
		unix.Close(null)
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
}
