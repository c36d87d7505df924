package metrics

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/refresh"
)

// served is a server that answers until the end of the test. end ends it.
func served(t *testing.T, at Address, m *Metrics, alive func(context.Context) error) (s *Server, end func()) {
	t.Helper()
	s, err := Listen(at, m, alive)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(end)
	return s, end
}

func wellAlive(context.Context) error { return nil }

var anyPort = Address{"tcp", "127.0.0.1:0"}

// request makes one request on a connection of its own.
func request(t *testing.T, network, address, method, path, host string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\n\r\n", method, path, host)
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// TestServer: what is answered, and to whom.
func TestServer(t *testing.T) {
	m := New(Options{Name: "job", Profiles: []string{"a", "b"}})
	m.Engine(refresh.Event{Kind: refresh.Refreshed, Profile: "a", Time: time.Now(), Expires: time.Now().Add(time.Hour)})
	alive := make(chan error, 2)
	s, _ := served(t, anyPort, m, func(context.Context) error { return <-alive })
	alive <- nil
	alive <- errors.New("busy")
	for _, tt := range []struct {
		method, path, host string
		status             int
		body               string
	}{
		{"GET", "/healthz", "localhost", 200, "ok\n"},
		{"GET", "/healthz", "localhost:9090", 503, "the engine does not answer\n"},
		{"GET", "/readyz", "127.0.0.1:9090", 503, "not ready: 1 of 2 profiles have no valid credentials: \"b\"\n"},
		{"HEAD", "/readyz", "[::1]:9090", 503, ""},
		{"GET", "/metrics", "127.0.0.1", 200, string(m.Text())},
		{"GET", "/", "localhost", 404, "there are /healthz, /readyz and /metrics\n"},
		{"POST", "/metrics", "localhost", 405, "only GET is answered here\n"},
		{"GET", "/metrics", "attacker.example", 403, "the Host header must be a loopback address or localhost\n"},
		{"GET", "/metrics", "localhost.attacker.example:9090", 403, "the Host header must be a loopback address or localhost\n"},
		{"GET", "http://localhost/metrics", "localhost", 403, "the Host header must be a loopback address or localhost\n"},
	} {
		status, body := request(t, "tcp", s.addr.String(), tt.method, tt.path, tt.host)
		if status != tt.status || body != tt.body {
			t.Errorf("%s %s for %s: %d %q, want %d %q", tt.method, tt.path, tt.host, status, body, tt.status, tt.body)
		}
	}
}

// TestServerIsCrowded: whoever opens connections and says nothing shuts nobody out, and
// at the end no connection is left.
func TestServerIsCrowded(t *testing.T) {
	before := runtime.NumGoroutine()
	s, end := served(t, anyPort, New(Options{}), wellAlive)
	address := s.addr.String()
	for range 2 * maxConns {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	if status, _ := request(t, "tcp", address, "GET", "/healthz", "localhost"); status != 200 {
		t.Errorf("status %d", status)
	}
	end()
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("somebody still listens")
	}
	for began := time.Now(); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Since(began) > time.Minute {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// TestSocketFile: it is for our user alone, one that nobody listens at is replaced, and
// nothing else is.
func TestSocketFile(t *testing.T) {
	dir, err := os.MkdirTemp("", "") // a short path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	at := Address{"unix", path}
	m := New(Options{})
	_, end := served(t, at, m, wellAlive)
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Fatalf("%v, %v", info, err)
	}
	if status, body := request(t, "unix", path, "GET", "/healthz", "whoever"); status != 200 {
		t.Errorf("%d %q", status, body)
	}
	if _, err := Listen(at, m, wellAlive); err == nil || !strings.Contains(err.Error(), "another program listens there") {
		t.Errorf("a second server: %v", err)
	}
	end()
	if names, _ := os.ReadDir(dir); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}

	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	s, err := Listen(at, m, wellAlive)
	if err != nil {
		t.Fatalf("a socket that nobody listens at: %v", err)
	}
	s.Close()

	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(at, m, wellAlive); err == nil {
		t.Error("a file is replaced")
	}
	if text, _ := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("the file holds %q", text)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

// TestServerAgain: a server whose socket broke is opened again by the next Run.
func TestServerAgain(t *testing.T) {
	s, err := Listen(anyPort, New(Options{}), wellAlive)
	if err != nil {
		t.Fatal(err)
	}
	s.at.Address = s.addr.String()
	s.listener.Close()
	if err := s.Run(t.Context()); err == nil {
		t.Fatal("no error of a socket that is closed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for began := time.Now(); ; runtime.Gosched() {
		if conn, err := net.Dial("tcp", s.at.Address); err == nil {
			conn.Close()
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("nobody listens")
		}
	}
	if status, _ := request(t, "tcp", s.at.Address, "GET", "/healthz", "localhost"); status != 200 {
		t.Errorf("status %d", status)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
