//go:build unix

package source

import (
	"io/fs"
	"os"
	"syscall"
)

// inode tells a file from another that has replaced it.
func inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}

// keepOwner gives f the owner of the file that it is to replace, if we may: root
// must not take a user's file away.
func keepOwner(f *os.File, old fs.FileInfo) {
	if st, ok := old.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		_ = f.Chown(int(st.Uid), int(st.Gid)) // who may not, keeps it
	}
}
