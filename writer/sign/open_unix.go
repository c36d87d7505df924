//go:build unix

package sign

import "golang.org/x/sys/unix"

// maxOpen is how many connections there may be. Each needs another one to its service, and a third of all descriptors is left
// for refreshes and deliveries.
func maxOpen() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return mostOpen
	}
	return int(min(uint64(limit.Cur)/3, mostOpen)) + 1
}
