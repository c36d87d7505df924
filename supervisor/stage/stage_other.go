//go:build !linux

package stage

import (
	"errors"
	"syscall"
)

// PID is the pid of our stage: there is none.
func PID() int { return 0 }

// Subreap is impossible here.
func Subreap(func() []syscall.Signal) error { return errors.ErrUnsupported }

// ListenCommand is never ok: there is no socket activation by LISTEN_PID here.
func ListenCommand(string, []string) (paths, env []string, release func(), ok bool) {
	return nil, nil, nil, false
}

// Shrink does nothing here.
func Shrink() {}
