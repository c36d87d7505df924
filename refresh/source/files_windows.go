package source

import (
	"io/fs"
)

// inode is not to be had without opening the file; its time of change must do.
func inode(fs.FileInfo) uint64 { return 0 }
