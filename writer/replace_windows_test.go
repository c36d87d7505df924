package writer

import (
	"os"
	"testing"
)

// wantMode checks nothing: modes are not what protects files here.
func wantMode(*testing.T, string, os.FileMode) {}

func helpDrop([]string) error { return nil }

func helpUmask([]string) error { return nil }
