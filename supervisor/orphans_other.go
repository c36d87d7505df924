//go:build !linux

package supervisor

import "time"

// stopOrphans has nothing to do: orphans are adopted by init here.
func stopOrphans(time.Duration) {}

// waitOrphans has nothing to wait for.
func waitOrphans() {}
