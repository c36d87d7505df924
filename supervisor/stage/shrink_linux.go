package stage

import (
	"bufio"
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Shrink gives back the pages of the program's own code and constants that
// initialisation has touched. They are mapped from its file: what is needed again
// comes back from the page cache. A process that waits for most of its life
// needs few of them.
func Shrink() {
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer smaps.Close()
	var start, end uint64
	for lines := bufio.NewReader(smaps); ; {
		// 00400000-00b5a000 r-xp 00000000 fe:00 1234   /path
		// …
		// Anonymous:             0 kB
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return
		}
		switch {
		case line[0] >= '0' && line[0] <= '9' || line[0] >= 'a' && line[0] <= 'f':
			start, end = code(line)
		case bytes.HasPrefix(line, []byte("Anonymous:")):
			// A page that is our own, since it was relocated, would be lost.
			if end > start && bytes.Contains(line, []byte(" 0 kB")) {
				_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
			}
		}
	}
}

// code returns the range of a mapping that is read from a file and not written.
func code(line []byte) (start, end uint64) {
	fields := bytes.Fields(line)
	if len(fields) < 6 || fields[5][0] != '/' || fields[1][0] != 'r' || fields[1][1] != '-' {
		return 0, 0
	}
	from, to, _ := bytes.Cut(fields[0], []byte("-"))
	start, _ = strconv.ParseUint(string(from), 16, 64)
	end, _ = strconv.ParseUint(string(to), 16, 64)
	return start, end
}
