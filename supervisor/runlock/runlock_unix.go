//go:build unix

package runlock

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

var lockParents = []string{"/run/lock", "/var/lock", "/dev/shm", "/tmp"}

// private checks that dir is a directory of ours that nobody else can write to:
// its parent is everybody's.
func private(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || int(st.Uid) != os.Getuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s: not a private directory of ours", dir)
	}
	return unix.Access(dir, unix.W_OK)
}

func mayMake(dir string) error   { return unix.Access(dir, unix.W_OK|unix.X_OK) }
func mayWrite(path string) error { return unix.Access(path, unix.R_OK|unix.W_OK) }
