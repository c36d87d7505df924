package writer

import (
	"golang.org/x/sys/windows"

	"brs-exec.example/brs-exec/writer/rundir"
)

func program(path string) (string, error) { return plainly(path, rundir.PlainPath, shortName) }

// shortName returns the 8.3 name of a file, which not every volume has; then it is
// path itself.
func shortName(path string) (string, error) {
	long, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return "", err
	}
	buf := make([]uint16, len(path)+1)
	for {
		n, err := windows.GetShortPathName(long, &buf[0], uint32(len(buf)))
		if err != nil {
			return "", err
		}
		if int(n) < len(buf) {
			return windows.UTF16ToString(buf[:n]), nil
		}
		buf = make([]uint16, n) // of which the end is one
	}
}
