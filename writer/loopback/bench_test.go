package loopback

import (
	"fmt"
	"net"
	"testing"
)

// BenchmarkCheckPeer looks for the client of one connection among many.
func BenchmarkCheckPeer(b *testing.B) {
	if !PeersKnown {
		b.Skip("nobody tells whose a connection is")
	}
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l, err := Listen("", nil)
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			var server net.Conn
			for range n {
				client, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				defer client.Close()
				if server, err = l.Accept(); err != nil {
					b.Fatal(err)
				}
				defer server.Close()
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := CheckPeer(server.RemoteAddr(), server.LocalAddr()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
