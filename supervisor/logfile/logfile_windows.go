package logfile

import "golang.org/x/sys/windows"

func writeAll(fd int, b []byte) {
	for len(b) > 0 {
		n, err := windows.Write(windows.Handle(fd), b)
		if err != nil || n <= 0 {
			return
		}
		b = b[n:]
	}
}

// hasRoom can't be known of a handle.
func hasRoom(int) bool { return false }

const lineEnd = "\r\n"
