//go:build !linux

package supervisor

import (
	"syscall"
	"time"
)

// handles can't be known here, so a signal is only sent if it is insisted on.
func handles(int, syscall.Signal) bool { return false }

// stopOrphans has nothing to do: orphans are adopted by init here.
func stopOrphans(time.Duration) {}

// waitOrphans has nothing to wait for.
func waitOrphans() {}
