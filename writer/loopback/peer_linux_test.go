package loopback

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
)

func TestMatchUID(t *testing.T) {
	t.Parallel()
	client, server := netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:8080")
	client6, server6 := netip.MustParseAddrPort("[::1]:40000"), netip.MustParseAddrPort("[::1]:8080")
	rest := "00000000:00000000 00:00000000 00000000  1234        0 9191 1 0 20 4 30 10 -1"
	for _, tt := range []struct {
		name           string
		line           string
		client, server netip.AddrPort
		ok             bool
	}{
		{"IPv4", "  5: 0100007F:9C40 0100007F:1F90 01 " + rest, client, server, true},
		{"the server's own end", "  5: 0100007F:1F90 0100007F:9C40 01 " + rest, client, server, false},
		{"another port", "  5: 0100007F:9C41 0100007F:1F90 01 " + rest, client, server, false},
		{"another address", "  5: 0200007F:9C40 0100007F:1F90 01 " + rest, client, server, false},
		{"another server", "  5: 0100007F:9C40 0100007F:1F91 01 " + rest, client, server, false},
		{"closed by its owner", "  5: 0100007F:9C40 0100007F:1F90 05 " + rest, client, server, false},
		{"mapped", "  5: 0000000000000000FFFF00000100007F:9C40 0000000000000000FFFF00000100007F:1F90 01 " + rest, client, server, true},
		{"IPv6", "  5: 00000000000000000000000001000000:9C40 00000000000000000000000001000000:1F90 01 " + rest, client6, server6, true},
		{"heading", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", client, server, false},
		{"cut short", "  5: 0100007F:9C40 0100007F:1F90 01 ", client, server, false},
		{"no address", "  5: zz00007F:9C40 0100007F:1F90 01 " + rest, client, server, false},
		{"empty", "", client, server, false},
	} {
		uid, ok := matchUID([]byte(tt.line), tt.client, tt.server)
		if ok != tt.ok || ok && uid != 1234 {
			t.Errorf("%s: matchUID = %d, %v, want %v", tt.name, uid, ok, tt.ok)
		}
	}
}

func TestPeerUID(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, network, address string
		dial                   func(t *testing.T, server netip.AddrPort) (client netip.AddrPort, hangUp func())
	}{
		{"IPv4", "tcp4", "127.0.0.1:0", dialPlain},
		{"IPv6", "tcp6", "[::1]:0", dialPlain},
		{"mapped", "tcp4", "127.0.0.1:0", dialMapped},
	} {
		l, err := net.Listen(tt.network, tt.address)
		if err != nil {
			t.Logf("SKIPPED %s: %v", tt.name, err)
			continue
		}
		defer l.Close()
		server := netip.MustParseAddrPort(l.Addr().String())
		client, hangUp := tt.dial(t, server)
		for name, find := range map[string]func(client, server netip.AddrPort) (int, error){"peerUID": peerUID, "findUID": findUID, "askUID": askUID} {
			uid, err := find(client, server)
			if errno := syscall.Errno(0); name == "askUID" && errors.As(err, &errno) {
				t.Logf("SKIPPED %s, %s: %v", tt.name, name, err)
				continue
			}
			if err != nil || uid != os.Geteuid() {
				t.Errorf("%s: %s = %d, %v, want %d", tt.name, name, uid, err, os.Geteuid())
			}
			if uid, err := find(client, netip.AddrPortFrom(server.Addr(), 1)); err == nil {
				t.Errorf("%s: %s of a connection to another port = %d, want an error", tt.name, name, uid)
			}
			if uid, err := find(server, netip.AddrPortFrom(server.Addr(), 1)); err == nil {
				t.Errorf("%s: %s of a socket that listens = %d, want an error", tt.name, name, uid)
			}
		}
		hangUp()
		for name, find := range map[string]func(client, server netip.AddrPort) (int, error){"peerUID": peerUID, "askUID": askUID} {
			if uid, err := find(client, server); err == nil {
				t.Errorf("%s: %s of a closed connection = %d, want an error", tt.name, name, uid)
			}
		}
	}
}

func dialPlain(t *testing.T, server netip.AddrPort) (client netip.AddrPort, hangUp func()) {
	t.Helper()
	c, err := net.Dial("tcp", server.String())
	if err != nil {
		t.Fatal(err)
	}
	return netip.MustParseAddrPort(c.LocalAddr().String()), func() { c.Close() }
}

// dialMapped has a socket of IPv6 connect to an address of IPv4, as Java's do.
func dialMapped(t *testing.T, server netip.AddrPort) (client netip.AddrPort, hangUp func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet6{Port: int(server.Port()), Addr: server.Addr().As16()}); err != nil {
		t.Fatal(err)
	}
	own, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	six := own.(*syscall.SockaddrInet6)
	return netip.AddrPortFrom(netip.AddrFrom16(six.Addr).Unmap(), uint16(six.Port)), func() { syscall.Close(fd) }
}
