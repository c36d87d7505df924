//go:build unix

package writer

import "syscall"

// helpUmask is helpPrivate without a umask, which is a whole process's.
func helpUmask(args []string) error {
	syscall.Umask(0)
	return helpPrivate(args)
}
