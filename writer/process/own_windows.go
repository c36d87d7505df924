package process

import "os"

// The temporary directory is the user's own here.
func sameOwner(a, b os.FileInfo) bool         { return true }
func trusted(dir string, _ os.FileInfo) error { return nil }
