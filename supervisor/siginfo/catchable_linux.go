package siginfo

import (
	"syscall"

	"golang.org/x/sys/unix"
)

var catchableHere = func() []syscall.Signal {
	list := []syscall.Signal{unix.SIGPWR}
	for n := 35; n <= 64; n++ { // the real-time signals that are left
		list = append(list, syscall.Signal(n))
	}
	return list
}()
