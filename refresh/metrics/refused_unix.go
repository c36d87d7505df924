//go:build unix

package metrics

import (
	"errors"
	"syscall"
)

// refused tells whether nobody listens at a socket.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
