package rundir

import (
	"io/fs"
	"syscall"
	"time"
)

func accessTime(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Atim.Unix())
	}
	return time.Time{}
}

// inMemory tells whether a directory is on a file system that reaches no disk.
func inMemory(dir string) bool {
	const tmpfs, ramfs = 0x01021994, 0x858458f6 // statfs(2)
	var st syscall.Statfs_t
	return syscall.Statfs(dir, &st) == nil && (int64(st.Type) == tmpfs || int64(st.Type) == ramfs)
}
