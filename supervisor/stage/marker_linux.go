package stage

import (
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A role is passed in a pipe, and the marker says which descriptor that is: whoever
// can only put variables into our environment makes us nothing. In the pipe are
// the pid of the process that wrote it, a blank, and the role.

// offerRole makes a pipe with a role, and returns the marker for the process that is
// to take it: one that we start, or we ourselves after execve. release closes what
// we have of it.
func offerRole(role string) (entry string, release func(), err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return "", nil, err
	}
	defer unix.Close(fds[1])
	release = func() { unix.Close(fds[0]) }
	// A new pipe has room for this.
	if _, err = unix.Write(fds[1], []byte(strconv.Itoa(os.Getpid())+" "+role)); err == nil {
		// 0 to 2 may be missing, and a command must never get one of ours as such.
		var fd int
		if fd, err = unix.FcntlInt(uintptr(fds[0]), unix.F_DUPFD, 3); err == nil {
			unix.Close(fds[0])
			return marker + "=" + strconv.Itoa(fd), func() { unix.Close(fd) }, nil
		}
	}
	release()
	return "", nil, err
}

// takeRole returns the role that this process was given, and by whom: our parent, or
// ourselves before execve. It removes the marker from the environment, whatever
// it says.
func takeRole() (role string, from int) {
	number, marked := syscall.Getenv(marker)
	if !marked {
		return "", 0
	}
	syscall.Unsetenv(marker)
	fd, err := strconv.Atoi(number)
	if err != nil || fd < 3 {
		return "", 0
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return "", 0
	}
	ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(ready, 0); err != nil || n == 0 || ready[0].Revents&unix.POLLIN == 0 {
		return "", 0
	}
	text := make([]byte, 16<<10) // a path of the longest kind, and more
	n, err := unix.Read(fd, text)
	if err != nil {
		return "", 0
	}
	pid, role, ok := strings.Cut(string(text[:n]), " ")
	from, err = strconv.Atoi(pid)
	if !ok || err != nil || from != os.Getppid() && from != os.Getpid() {
		return "", 0
	}
	unix.Close(fd)
	return role, from
}
