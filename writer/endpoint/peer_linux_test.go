package endpoint

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
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
