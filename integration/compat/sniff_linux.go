package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// sniffer counts the requests for credentials that pass over loopback, without
// being in their way: brs-exec's servers are tested as they are.
type sniffer struct {
	fd             int
	endpoint, imds atomic.Int64
	done           chan struct{}
	stopped        chan struct{}
}

// sniff watches loopback, all ports but one: that of the AWS-like server.
func sniff(but uint16) (*sniffer, error) {
	protocol := binary.NativeEndian.Uint16([]byte{unix.ETH_P_IP >> 8, unix.ETH_P_IP & 0xff})
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(protocol))
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	// Bursts of uploads come through here as well.
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	s := &sniffer{fd: fd, done: make(chan struct{}), stopped: make(chan struct{})}
	go s.watch(but)
	return s, nil
}

func (s *sniffer) watch(but uint16) {
	defer close(s.stopped)
	packet := make([]byte, 4096) // more than any request for credentials
	for {
		select {
		case <-s.done:
			return
		default:
		}
		n, from, err := unix.Recvfrom(s.fd, packet, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return
		}
		// Where a socket sees both ways, loopback shows every packet twice.
		if link, ok := from.(*unix.SockaddrLinklayer); !ok || link.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		port, payload := tcpPayload(packet[:n])
		if port == 0 || port == but {
			continue
		}
		// Clients that join the address and the path may have made two slashes.
		switch path := strings.Replace(getPath(payload), "//", "/", 1); {
		case path == "":
		case !strings.HasPrefix(path, "/latest/"):
			s.endpoint.Add(1)
		case isRole(path):
			s.imds.Add(1)
		}
	}
}

// stop ends the watching a moment later than it is asked to, for what is still
// on its way, and returns what was counted.
func (s *sniffer) stop() (endpoint, imds int) {
	close(s.done)
	select {
	case <-s.stopped:
	case <-time.After(time.Second):
	}
	unix.Close(s.fd)
	return int(s.endpoint.Load()), int(s.imds.Load())
}

// tcpPayload returns the destination port and the data of an IPv4 packet, or 0
// if it is not one of TCP.
func tcpPayload(p []byte) (port uint16, data []byte) {
	if len(p) < 20 || p[0]>>4 != 4 || p[9] != unix.IPPROTO_TCP {
		return 0, nil
	}
	header := int(p[0]&0x0f) * 4
	if len(p) < header+20 {
		return 0, nil
	}
	tcp := p[header:]
	offset := int(tcp[12]>>4) * 4
	if offset < 20 || len(tcp) < offset {
		return 0, nil
	}
	return binary.BigEndian.Uint16(tcp[2:]), tcp[offset:]
}

// getPath returns the path of a GET request that begins in data, "" if none does.
func getPath(data []byte) string {
	rest, found := bytes.CutPrefix(data, []byte("GET "))
	path, _, ok := bytes.Cut(rest, []byte(" HTTP/1."))
	if !found || !ok || bytes.ContainsAny(path, "\r\n") {
		return ""
	}
	return string(path)
}

// isRole tells whether a path of the metadata service is that of a role's
// credentials, not of the list of roles.
func isRole(path string) bool {
	role, found := strings.CutPrefix(path, "/latest/meta-data/iam/security-credentials/")
	return found && role != ""
}
