//go:build unix

package volume

import (
	"io/fs"
	"syscall"
)

// device is the file system that something is on.
func device(info fs.FileInfo) uint64 {
	if info != nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			return uint64(st.Dev)
		}
	}
	return 0
}
