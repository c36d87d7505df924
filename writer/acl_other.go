//go:build unix && !linux

package writer

import "os"

// keepACL does nothing: outside Linux a replaced file loses its ACL.
func keepACL(*os.File, string) error { return nil }
