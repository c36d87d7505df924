//go:build !linux

package source

import "io"

// openRoots is nil: crypto/x509 asks the system, or reads files that are not known here.
var openRoots func() (io.ReadCloser, error)
