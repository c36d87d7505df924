package loopback

import (
	"syscall"
	"testing"
)

func TestAnswersStayOnThisHost(t *testing.T) {
	t.Parallel()
	l, err := Listen("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	rc, err := l.socket.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var ttl int
	var failed error
	rc.Control(func(fd uintptr) { ttl, failed = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TTL) })
	if failed != nil || ttl != 1 {
		t.Errorf("TTL = %d, %v, want 1", ttl, failed)
	}
	connect(t, l)
}
