package writer

import (
	"os"
	"testing"

	"golang.org/x/sys/windows"
)

// wantMode checks nothing: modes are not what protects files here.
func wantMode(*testing.T, string, os.FileMode) {}

func helpDrop([]string) error { return nil }

func helpUmask([]string) error { return nil }

// errCannotRename has a file written in place.
var errCannotRename = error(windows.ERROR_NOT_SAME_DEVICE)
