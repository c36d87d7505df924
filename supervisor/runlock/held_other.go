//go:build !linux

package runlock

// holder cannot tell here without taking the lock.
func holder(string) (pid int, held bool) { return 0, false }
