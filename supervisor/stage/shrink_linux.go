package stage

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// shrink gives back the pages of the program's own code and constants that
// initialisation has touched. They are mapped from the file: what is needed
// again comes back from the page cache. A stage waits for all its life, and its
// pages count as those of one more brs-exec.
func shrink() {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range bytes.Lines(maps) {
		// 00400000-00b5a000 r-xp 00000000 fe:00 1234   /path
		fields := strings.Fields(string(line))
		if len(fields) < 6 || !strings.HasPrefix(fields[5], "/") || fields[1] != "r-xp" && fields[1] != "r--p" {
			continue
		}
		from, to, ok := strings.Cut(fields[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		// A position-independent program is mapped high up; its constants were
		// relocated, and would be lost.
		if !ok || err1 != nil || err2 != nil || end > 1<<32 {
			continue
		}
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
	}
}
