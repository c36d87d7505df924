package loopback

import (
	"net"
	"net/netip"
	"os"
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
	for _, network := range []string{"tcp4", "tcp6"} {
		l, err := net.Listen(network, map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"}[network])
		if err != nil {
			t.Logf("SKIPPED %s: %v", network, err)
			continue
		}
		defer l.Close()
		c, err := net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		client, server := netip.MustParseAddrPort(c.LocalAddr().String()), netip.MustParseAddrPort(c.RemoteAddr().String())
		if uid, err := peerUID(client, server); err != nil || uid != os.Geteuid() {
			t.Errorf("%s: peerUID = %d, %v, want %d", network, uid, err, os.Geteuid())
		}
		c.Close()
		if uid, err := peerUID(client, server); err == nil {
			t.Errorf("%s: peerUID of a closed connection = %d, want an error", network, uid)
		}
	}
}
