package volume

import "io/fs"

// device is not known here, where a directory's mode says nothing either.
func device(fs.FileInfo) uint64 { return 0 }
