//go:build unix

package writer

import "golang.org/x/sys/unix"

const foldNames = false

func mayWrite(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }
