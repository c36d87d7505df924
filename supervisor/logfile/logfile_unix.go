//go:build unix

package logfile

import "golang.org/x/sys/unix"

// writeAll writes b, past os.File: that would make this process die of SIGPIPE
// if nobody can read standard error any more. A file that is not blocking by
// somebody else's doing is waited for.
func writeAll(fd int, b []byte) {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch {
		case err == unix.EAGAIN:
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1); err != nil && err != unix.EINTR {
				return
			}
		case err == unix.EINTR:
		case err != nil || n == 0:
			return
		}
		b = b[max(n, 0):]
	}
}

// hasRoom tells whether a write to fd would not have to wait for a reader.
func hasRoom(fd int) bool {
	files := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(files, 0)
	return err == nil && n == 1 && files[0].Revents&unix.POLLOUT != 0
}

const lineEnd = "\n"
