//go:build !unix

package loopback

import "syscall"

// limitHops does nothing here: answers have the system's ordinary TTL, and only the loopback address keeps them local.
func limitHops(string, syscall.RawConn) error { return nil }
