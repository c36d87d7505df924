//go:build !unix

package endpoint

import "syscall"

// limitHops does nothing here: answers have the system's ordinary TTL, and only the loopback address keeps them local.
func limitHops(string, syscall.RawConn) error { return nil }
