package pathsafe

import "io/fs"

const nonBlock = 0

// UID, OthersWrite, Foreign, Unmapped and ownedAlone do not look: files are as their directories are
// here.
func UID(fs.FileInfo) int               { return -1 }
func OthersWrite(fs.FileInfo) bool      { return false }
func Foreign(int) bool                  { return false }
func Unmapped(int) bool                 { return false }
func ownedAlone(fs.FileInfo, int) error { return nil }
