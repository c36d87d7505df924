package endpoint

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestOutOfDescriptors is not parallel: this process may open nothing meanwhile.
func TestOutOfDescriptors(t *testing.T) {
	said := make(broken, 10)
	s := startServer(t, Options{Notify: func(err error) { said <- err }}, map[string]aws.Credentials{"": testSet("ASIAONE", time.Hour)})
	// The client has its descriptor before nobody gets one any more.
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	client := os.NewFile(uintptr(fd), "client")
	defer client.Close()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	restore := func() { syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was) }
	defer restore()
	// Not one less than are open: those that another test left may be closed at any time.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	host, request := lines(rootURL(s), s.token)
	address := netip.MustParseAddrPort(host)
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Addr: address.Addr().As4(), Port: int(address.Port())}); err != nil {
		t.Fatal(err)
	}
	if err := said.next(t); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("said %v, want that there are too many open files", err)
	}
	restore()
	conn, err := net.FileConn(client)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := converse(conn, request...); err != nil || r.status != 200 {
		t.Errorf("the request that waited: status %d, %v", r.status, err)
	}
	if err := said.next(t); err != nil {
		t.Errorf("then %v is said, want that it works", err)
	}
}
