//go:build unix

package logincache

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives f the owner of the file that it is to replace, if we may: root
// must not take a user's file away.
func keepOwner(f *os.File, old fs.FileInfo) {
	if st, ok := old.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		_ = f.Chown(int(st.Uid), int(st.Gid)) // who may not, keeps it
	}
}
