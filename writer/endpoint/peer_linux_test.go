package endpoint

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// asNobody sends a request as another user, and checks the status, if this test may. On Linux one thread can change its user
// alone.
func asNobody(t *testing.T, address string, lines []string, want int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, who alone can come as somebody else")
	}
	got := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		const nobody, unchanged = 65534, ^uintptr(0)
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, unchanged, nobody, unchanged); errno != 0 {
			got <- errno
			return
		}
		// The first thread of a process does not end, and whoever looks at the process sees its user.
		defer syscall.RawSyscall(syscall.SYS_SETRESUID, unchanged, 0, unchanged)
		c, err := net.Dial("tcp", address)
		if err != nil {
			got <- err
			return
		}
		defer c.Close()
		fmt.Fprint(c, strings.Join(lines, "\r\n")+"\r\n\r\n")
		var status int
		_, err = fmt.Fscanf(c, "HTTP/1.1 %d", &status)
		if err == nil && status != want {
			err = fmt.Errorf("status %d, want %d", status, want)
		}
		got <- err
	}()
	if err := <-got; err != nil {
		t.Errorf("%s: %v", lines[0], err)
	}
}

func TestIMDSOtherUser(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		v1     bool
		method string
		path   string
		want   int
	}{
		{false, "PUT", "/latest/api/token", 403},
		{true, "GET", credentialsPath + "/", 403},
	} {
		m := startIMDS(t, Options{AllowV1: tt.v1}, nil)
		asNobody(t, m.socket.listener.Addr().String(), []string{tt.method + " " + tt.path + " HTTP/1.1", "Host: 127.0.0.1", ttlHeader + ": 60"}, tt.want)
	}
}

// TestIMDSNobody: where our user has the number of all whom the user namespace does not know, none can be told from others.
func TestIMDSNobody(t *testing.T) {
	t.Parallel()
	const variable, nobody = "BRS_ENDPOINT_TEST_NOBODY", 65534
	if os.Getenv(variable) != "" {
		if _, err := ListenIMDS(Options{}); !errors.Is(err, ErrNobody) {
			t.Errorf("ListenIMDS as uid %d = %v, want %v", os.Geteuid(), err, ErrNobody)
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestIMDSNobody$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Geteuid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skip("may not make a user namespace")
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestIMDSNobody") {
		t.Errorf("in the user namespace: %v\n%s", err, out)
	}
}
