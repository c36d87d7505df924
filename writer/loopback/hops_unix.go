//go:build unix

package loopback

import "syscall"

// limitHops gives answers a TTL of 1, as EC2 does by default: they reach this host and no further, should a packet filter
// ever steer somebody else's connection here. Where the option is refused (some sandboxes) loopback itself is the limit.
func limitHops(network string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		if network == "tcp6" {
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_UNICAST_HOPS, 1)
			return
		}
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TTL, 1)
	})
}
