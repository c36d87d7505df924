package endpoint

import (
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestAnswersStayOnThisHost(t *testing.T) {
	t.Parallel()
	s := startServer(t, Options{}, map[string]aws.Credentials{"": testSet("ASIAONE", time.Hour)})
	rc, err := s.socket.listener.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var ttl int
	var failed error
	rc.Control(func(fd uintptr) { ttl, failed = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TTL) })
	if failed != nil || ttl != 1 {
		t.Errorf("TTL = %d, %v, want 1", ttl, failed)
	}
	if got := get(t, s.URL(""), s.token); got.status != 200 {
		t.Errorf("status %d with that TTL, want 200", got.status)
	}
}
