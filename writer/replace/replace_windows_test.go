package replace

import (
	"golang.org/x/sys/windows"
)

func helpDrop([]string) error { return nil }

// errCannotRename has a file written in place.
var errCannotRename = error(windows.ERROR_NOT_SAME_DEVICE)
