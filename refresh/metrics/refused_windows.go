package metrics

import (
	"errors"

	"golang.org/x/sys/windows"
)

// refused tells whether nobody listens at a socket.
func refused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }
