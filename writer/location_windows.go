package writer

import "io/fs"

const nonBlock = 0

// uidOf and ownedAlone do not look: files are as their directories are here.
func uidOf(fs.FileInfo) int             { return -1 }
func ownedAlone(fs.FileInfo, int) error { return nil }
