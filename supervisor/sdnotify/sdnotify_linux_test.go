package sdnotify

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestNotifier(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@brs-exec-test-" + strconv.Itoa(unix.Getpid())} {
		// Not package net: with it the test binary, which is also PID 1, needs the C library.
		conn, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(conn)
		if err := unix.Bind(conn, &unix.SockaddrUnix{Name: name}); err != nil {
			t.Fatal(err)
		}
		if err := unix.SetsockoptTimeval(conn, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
			t.Fatal(err)
		}
		t.Setenv("NOTIFY_SOCKET", name)
		t.Setenv("WATCHDOG_USEC", "3000000")
		t.Setenv("WATCHDOG_PID", strconv.Itoa(unix.Getpid()))
		n, err := New(0)
		if err != nil {
			t.Fatal(err)
		}
		for _, send := range []func() error{n.Ready, n.Reloading, n.Watchdog, n.Stopping, func() error { return n.Status("a\nb") }} {
			if err := send(); err != nil {
				t.Error(err)
			}
		}
		var got []string
		buf := make([]byte, 1000)
		for range 5 {
			size, err := unix.Read(conn, buf)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, regexp.MustCompile(`USEC=\d{6,}$`).ReplaceAllString(string(buf[:size]), "USEC=N"))
		}
		want := []string{"READY=1", "RELOADING=1\nMONOTONIC_USEC=N", "WATCHDOG=1", "STOPPING=1", "STATUS=a b"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("messages at %s (-want +got):\n%s", name, diff)
		}
		if got := n.WatchdogInterval(); got != 1500*time.Millisecond {
			t.Errorf("watchdog interval = %v, want 1.5s", got)
		}
		// nobody reads: an error, not a wait
		var full error
		for range 10000 {
			if full = n.Status(strings.Repeat("x", 1000)); full != nil {
				break
			}
		}
		if full == nil {
			t.Error("a socket that nobody reads takes everything")
		}
	}
}

func TestNotifierForNobody(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	n, err := New(0)
	if n != nil || err != nil {
		t.Errorf("New = %v, %v, want nil", n, err)
	}
	if err := n.Ready(); err != nil || n.WatchdogInterval() != 0 {
		t.Errorf("nil notifier: %v, %v", err, n.WatchdogInterval())
	}
	t.Setenv("NOTIFY_SOCKET", "vsock:2:1234")
	if _, err := New(0); err == nil {
		t.Error("a socket of an unknown kind is accepted")
	}
	t.Setenv("NOTIFY_SOCKET", "/no/such/socket")
	t.Setenv("WATCHDOG_USEC", "1000")
	t.Setenv("WATCHDOG_PID", "1")
	n, err = New(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(); err == nil {
		t.Error("a message to nowhere succeeds")
	}
	if got := n.WatchdogInterval(); got != 0 {
		t.Errorf("watchdog of another process: %v", got)
	}
}

func TestNotifyEnv(t *testing.T) {
	env := []string{"A=1", "NOTIFY_SOCKET=/x", "WATCHDOG_PID=3", "WATCHDOG_USEC=5", "NOTIFY_SOCKETS=y", "odd"}
	if diff := cmp.Diff([]string{"A=1", "NOTIFY_SOCKETS=y", "odd"}, Env(env, false)); diff != "" {
		t.Errorf("without (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"A=1", "NOTIFY_SOCKET=/x", "WATCHDOG_USEC=5", "NOTIFY_SOCKETS=y", "odd"}, Env(env, true)); diff != "" {
		t.Errorf("with (-want +got):\n%s", diff)
	}
}
