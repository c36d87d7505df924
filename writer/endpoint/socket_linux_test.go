package endpoint

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestAnswersStayOnThisHost(t *testing.T) {
	t.Parallel()
	s := startServer(t, Options{}, map[string]aws.Credentials{"": testSet("ASIAONE", time.Hour)})
	rc, err := s.socket.listener.current().SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var ttl int
	var failed error
	rc.Control(func(fd uintptr) { ttl, failed = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TTL) })
	if failed != nil || ttl != 1 {
		t.Errorf("TTL = %d, %v, want 1", ttl, failed)
	}
	if got := get(t, rootURL(s), s.token); got.status != 200 {
		t.Errorf("status %d with that TTL, want 200", got.status)
	}
}

// TestOutOfDescriptors is not parallel: it leaves this process one descriptor, which the client takes.
func TestOutOfDescriptors(t *testing.T) {
	said := make(broken, 10)
	s := startServer(t, Options{Notify: func(err error) { said <- err }}, map[string]aws.Credentials{"": testSet("ASIAONE", time.Hour)})
	last, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.Close(last)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	restore := func() { syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was) }
	defer restore()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(last) + 1, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	address, request := lines(rootURL(s), s.token)
	answered := make(chan error, 1)
	go func() {
		r, err := exchange(address, request...)
		if err == nil && r.status != 200 {
			err = fmt.Errorf("status %d", r.status)
		}
		answered <- err
	}()
	if err := said.next(t); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("said %v, want that there are too many open files", err)
	}
	restore()
	if err := <-answered; err != nil {
		t.Errorf("the request that waited: %v", err)
	}
	if err := said.next(t); err != nil {
		t.Errorf("then %v is said, want that it works", err)
	}
}
