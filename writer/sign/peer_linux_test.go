package sign

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOtherUser: nobody but our own user gets anywhere, in any way.
func TestOtherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, who alone can come as somebody else")
	}
	w := newWorld(t, newService(t, false), Options{})
	own := w.listener.Addr().String()
	signed := newRequest(t, "GET", w.URL()+"/b/k", "")
	sign(t, signed, w.Local("p"), hashOf(""), "s3", "us-east-1", time.Now())
	var text strings.Builder
	signed.Write(&text)
	for name, request := range map[string]string{
		"a tunnel":             "CONNECT db.test:5432 HTTP/1.1\r\nHost: db.test:5432\r\n\r\n",
		"an AWS host":          "CONNECT s3.us-east-1.amazonaws.com:443 HTTP/1.1\r\nHost: s3.us-east-1.amazonaws.com:443\r\n\r\n",
		"a proxy for HTTP":     "GET http://" + w.service.host() + "/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"the endpoint, signed": text.String(),
	} {
		answer, err := asNobody(own, request)
		if err != nil || answer != http.StatusForbidden {
			t.Errorf("%s: %d, %v", name, answer, err)
		}
	}
	start := time.Now()
	if _, err := asNobody(own, ""); err == nil || time.Since(start) > headerTime/2 {
		t.Errorf("one that says nothing is kept: %v after %v", err, time.Since(start))
	}
	if got := w.service.requests(); len(got) > 0 {
		t.Error("something was sent on")
	}
}

// asNobody sends a request as another user, and returns the status. On Linux one thread can change its user alone.
func asNobody(address, request string) (status int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		const nobody, unchanged = 65534, ^uintptr(0)
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, unchanged, nobody, unchanged); errno != 0 {
			err = errno
			return
		}
		// The first thread of a process does not end, and whoever looks at the process sees its user.
		defer syscall.RawSyscall(syscall.SYS_SETRESUID, unchanged, 0, unchanged)
		var c net.Conn
		if c, err = net.Dial("tcp", address); err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(c, request)
		var answer *http.Response
		if answer, err = http.ReadResponse(bufio.NewReader(c), nil); err == nil {
			io.Copy(io.Discard, answer.Body)
			status = answer.StatusCode
		}
	}()
	<-done
	return status, err
}
