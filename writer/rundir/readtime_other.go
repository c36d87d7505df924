//go:build !linux

package rundir

import (
	"io/fs"
	"time"
)

func accessTime(fs.FileInfo) time.Time { return time.Time{} }
