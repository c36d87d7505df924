package endpoint

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/writer/loopback"
)

// closed reports whether the server closes c, which has sent what it will ever send.
func closed(c net.Conn) bool {
	c.SetReadDeadline(time.Now().Add(testTimeout))
	_, err := io.Copy(io.Discard, c)
	return !isTimeout(err)
}

// noTimeouts is for a test of something else that ends a connection. s does not run yet.
func noTimeouts(s *socket) {
	h := s.http
	h.ReadHeaderTimeout, h.ReadTimeout, h.WriteTimeout, h.IdleTimeout = time.Hour, time.Hour, time.Hour, time.Hour
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

func dial(t testing.TB, s *socket) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestSlowClientIsClosed(t *testing.T) {
	t.Parallel()
	s := startServer(t, Options{}, nil)
	const half = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "
	begin := time.Now()
	silent, stuck, dripping, bodiless := dial(t, s.socket), dial(t, s.socket), dial(t, s.socket), dial(t, s.socket)
	io.WriteString(stuck, half)
	io.WriteString(dripping, half)
	io.WriteString(bodiless, "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n")
	dripped := make(chan error, 1)
	go func() {
		drip := time.NewTicker(headerTime / 20)
		defer drip.Stop()
		for time.Since(begin) < testTimeout {
			if _, err := io.WriteString(dripping, "x"); err != nil {
				dripped <- nil
				return
			}
			<-drip.C
		}
		dripped <- errors.New("still open")
	}()
	for name, c := range map[string]net.Conn{"silent": silent, "stuck in the header": stuck, "without the body": bodiless} {
		if !closed(c) {
			t.Errorf("client %s: still open after %v", name, time.Since(begin))
		}
	}
	if took := time.Since(begin); took < headerTime/2 {
		t.Errorf("closed after %v, want about %v", took, headerTime)
	}
	if err := <-dripped; err != nil {
		t.Errorf("client that sends a byte at a time: %v after %v", err, time.Since(begin))
	}
}

func TestHugeHeaders(t *testing.T) {
	t.Parallel()
	s := startServer(t, Options{}, map[string]aws.Credentials{"": testSet("ASIAONE", time.Hour)})
	address := s.socket.listener.Addr().String()
	line, host, auth := "GET "+s.prefix+" HTTP/1.1", "Host: 127.0.0.1", "Authorization: "+s.token
	if got := raw(t, address, line, host, auth, "User-Agent: "+strings.Repeat("x", 4<<10)); got.status != 200 {
		t.Errorf("4 KiB user agent: status %d, want 200", got.status)
	}
	if got := raw(t, address, line, host, auth, "X: "+strings.Repeat("x", 64<<10)); got.status != 431 {
		t.Errorf("64 KiB header: status %d, want 431", got.status)
	}
	if got := raw(t, address, "GET /"+strings.Repeat("x", 64<<10)+" HTTP/1.1", host, auth); got.status != 431 {
		t.Errorf("64 KiB path: status %d, want 431", got.status)
	}
}

// TestIdleConnectionsDoNotLockOut holds more connections open than the server keeps, and still gets its answer.
func TestIdleConnectionsDoNotLockOut(t *testing.T) {
	t.Parallel()
	s, err := Listen(Options{})
	if err != nil {
		t.Fatal(err)
	}
	noTimeouts(s.socket)
	if err := s.Deliver(t.Context(), map[string]aws.Credentials{"": testSet("ASIAONE", time.Hour)}); err != nil {
		t.Fatal(err)
	}
	start(t, s.Run)
	idle := make([]net.Conn, 2*maxConns)
	for i := range idle {
		idle[i] = dial(t, s.socket)
	}
	if got := get(t, rootURL(s), s.token); got.status != 200 {
		t.Errorf("status %d, want 200", got.status)
	}
	if !closed(idle[0]) {
		t.Error("the oldest idle connection is still open")
	}
	s.socket.listener.mu.Lock()
	open := s.socket.listener.open.Len()
	s.socket.listener.mu.Unlock()
	if open > maxConns {
		t.Errorf("%d connections are open, want %d at most", open, maxConns)
	}
}

// TestKeptConnections: a connection serves more than one request only when there are many, and never after a refusal.
func TestKeptConnections(t *testing.T) {
	t.Parallel()
	s := startServer(t, Options{}, map[string]aws.Credentials{"": testSet("ASIAONE", time.Hour)})
	for i := range busyRate {
		if got := get(t, rootURL(s), s.token); got.status != 200 || !got.close {
			t.Fatalf("request %d: status %d, closed: %v", i, got.status, got.close)
		}
	}
	c := dial(t, s.socket)
	r := bufio.NewReader(c)
	ask := func(token string) (status int, close bool) {
		t.Helper()
		_, request := lines(rootURL(s), token)
		io.WriteString(c, strings.Join(request, "\r\n")+"\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, resp.Close
	}
	for i := range 3 {
		s.socket.rate.mu.Lock()
		s.socket.rate.second, s.socket.rate.count = time.Now().Unix(), busyRate // however long this took
		s.socket.rate.mu.Unlock()
		if status, close := ask(s.token); status != 200 || close {
			t.Fatalf("request %d: status %d, closed: %v", i, status, close)
		}
	}
	if status, close := ask("wrong"); status != 401 || !close {
		t.Errorf("refused: status %d, closed: %v", status, close)
	}
}

// TestKeptConnectionsMakeRoom: those that wait for another request are closed at once when the places are needed.
func TestKeptConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	s, err := Listen(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Deliver(t.Context(), map[string]aws.Credentials{"": testSet("ASIAONE", time.Hour)}); err != nil {
		t.Fatal(err)
	}
	l := s.socket.listener
	l.max, l.dawdle = 4, time.Hour
	s.socket.http.IdleTimeout = time.Hour
	start(t, s.Run)
	_, request := lines(rootURL(s), s.token)
	for i := range 20 {
		s.socket.rate.mu.Lock()
		s.socket.rate.second, s.socket.rate.count = time.Now().Unix(), busyRate
		s.socket.rate.mu.Unlock()
		c := dial(t, s.socket)
		c.SetDeadline(time.Now().Add(testTimeout))
		io.WriteString(c, strings.Join(request, "\r\n")+"\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("client %d: %v", i, err)
		}
		io.Copy(io.Discard, resp.Body)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	var r rate
	at := time.Unix(1000, 0)
	for i := range busyRate {
		if r.busy(at) {
			t.Fatalf("busy with %d requests", i+1)
		}
	}
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Second, true}, {2 * time.Second, false}, {time.Hour, false}} {
		if got := r.busy(at.Add(tt.after)); got != tt.want {
			t.Errorf("after %v: busy: %v, want %v", tt.after, got, tt.want)
		}
	}
}

// TestBurstIsServed sends many more requests at once than there are places; every one must be answered.
func TestBurstIsServed(t *testing.T) {
	t.Parallel()
	s, err := Listen(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Deliver(t.Context(), map[string]aws.Credentials{"": testSet("ASIAONE", time.Hour)}); err != nil {
		t.Fatal(err)
	}
	s.socket.listener.dawdle = testTimeout // on a machine that is busy with other tests nothing here is late
	start(t, s.Run)
	const clients = 4 * maxConns
	address, lines := lines(rootURL(s), s.token)
	got := make(chan error, clients)
	for range clients {
		go func() {
			r, err := exchange(address, lines...)
			if err == nil && r.status != 200 {
				err = fmt.Errorf("status %d", r.status)
			}
			got <- err
		}()
	}
	for range clients {
		if err := <-got; err != nil {
			t.Errorf("one of %d: %v", clients, err)
		}
	}
}

// TestRunWaitsForHandlers has an answer that is not ready when Run stops waiting for answers to be sent.
func TestRunWaitsForHandlers(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s, err := listen("", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	io.WriteString(dial(t, s), "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	<-entered
	cancel()
	select {
	case err := <-done:
		t.Errorf("run returned %v while a handler was running", err)
	case <-time.After(2 * drainTime):
	}
	close(release)
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
}

// TestRunLeavesNothing is not parallel: it looks at all goroutines.
func TestRunLeavesNothing(t *testing.T) {
	silent := func(err error) { t.Errorf("said %v", err) }
	s, err := Listen(Options{Notify: silent})
	if err != nil {
		t.Fatal(err)
	}
	m, err := ListenIMDS(Options{Notify: silent})
	if err != nil {
		t.Fatal(err)
	}
	noTimeouts(s.socket)
	noTimeouts(m.socket)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- s.Run(ctx) }()
	go func() { done <- m.Run(ctx) }()
	if got := get(t, rootURL(s), s.token); got.status != 404 {
		t.Errorf("status %d, want 404", got.status)
	}
	idle := dial(t, s.socket)
	half := dial(t, m.socket)
	io.WriteString(half, "GET /latest")
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	if !closed(idle) || !closed(half) {
		t.Error("a connection is open after Run")
	}
	// The last instructions of a goroutine come after the news that it is done.
	deadline := time.Now().Add(testTimeout)
	for left := leftGoroutines(); left != ""; left = leftGoroutines() {
		if time.Now().After(deadline) {
			t.Fatalf("goroutines after Run:\n%s", left)
		}
		runtime.Gosched()
	}
}

func leftGoroutines() string {
	buf := make([]byte, 1<<20)
	var left []string
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "net/http.(*") || strings.Contains(g, "endpoint.(*socket)") {
			left = append(left, g)
		}
	}
	return strings.Join(left, "\n\n")
}

// broken has what Notify is given.
type broken chan error

func (b broken) next(t *testing.T) error {
	t.Helper()
	select {
	case err := <-b:
		return err
	case <-time.After(testTimeout):
		t.Fatal("nothing is said")
		return nil
	}
}

// TestPortTaken: once another program has had the address, it may know the token.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	s, err := Listen(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Deliver(t.Context(), map[string]aws.Credentials{"": testSet("ASIAONE", time.Hour)}); err != nil {
		t.Fatal(err)
	}
	s.socket.taken = func() bool { return true }
	start(t, s.Run)
	want := 200
	if !loopback.PeersKnown {
		want = 403
	}
	if got := get(t, rootURL(s), s.token); got.status != want {
		t.Errorf("status %d for our own user, want %d", got.status, want)
	}
	address, request := lines(rootURL(s), s.token)
	asNobody(t, address, request, 403)
}

// TestFloodDrains holds so many idle connections that a child would wait for minutes if each was borne with for as long as one.
func TestFloodDrains(t *testing.T) {
	t.Parallel()
	s, err := Listen(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Deliver(t.Context(), map[string]aws.Credentials{"": testSet("ASIAONE", time.Hour)}); err != nil {
		t.Fatal(err)
	}
	l := s.socket.listener
	l.max, l.dawdle = 4, 2*time.Second
	noTimeouts(s.socket)
	var flood []net.Conn
	for range 600 {
		flood = append(flood, dial(t, s.socket))
	}
	start(t, s.Run)
	deadline := time.Now().Add(testTimeout) // it would take 600/4 times as long as one may dawdle
	for i, c := range flood[:len(flood)-4] {
		c.SetReadDeadline(deadline)
		if _, err := c.Read(make([]byte, 1)); isTimeout(err) {
			t.Fatalf("connection %d is still open", i)
		}
	}
}
