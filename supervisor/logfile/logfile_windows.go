package logfile

import (
	"fmt"

	"golang.org/x/sys/windows"
)

func writeAll(fd int, b []byte) {
	for len(b) > 0 {
		n, err := windows.Write(windows.Handle(fd), b)
		if err != nil || n <= 0 {
			return
		}
		b = b[n:]
	}
}

func droppedLine(n int) []byte {
	return fmt.Appendf(nil, "brs-exec: %d log lines were dropped: nobody read them\r\n", n)
}
