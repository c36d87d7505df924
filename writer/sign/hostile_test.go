package sign

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"brs-exec.example/brs-exec/writer/sign/services"
	"brs-exec.example/brs-exec/writer/sign/sigv4"
)

// leadTo has all connections of a world's server go to its service, whatever their host.
func leadTo(w *world) {
	direct, address := w.transports.dial, w.service.Listener.Addr().String()
	w.transports.dial = func(ctx context.Context, network, _ string) (net.Conn, error) { return direct(ctx, network, address) }
}

// TestHostHeader: a signature covers the Host header, so that one for AWS must not get to another server, nor the other way round.
func TestHostHeader(t *testing.T) {
	t.Parallel()
	f := newService(t, false)
	w := newWorld(t, f, Options{Hosts: []string{f.host()}})
	leadTo(w)
	client := w.client(t, false)
	for _, tt := range []struct {
		host   string
		status int
	}{
		{"", 200},
		{"minio.internal", 200}, // a server behind another name
		{"s3.us-east-1.amazonaws.com", 403},
		{"S3.US-EAST-1.amazonaws.com", 403},
		{"s3.us-east-1.amazonaws.com.:443", 403},
	} {
		r := newRequest(t, "GET", f.URL+"/b/k", "")
		if tt.host != "" {
			r.Host = tt.host
		}
		sign(t, r, w.Local("p"), hashOf(""), "s3", "us-east-1", time.Now())
		status, body := do(t, client, r)
		if status != tt.status || status == 403 && !isFault(body, "AccessDenied", strings.TrimSuffix(tt.host, ".:443")) {
			t.Errorf("to another server for %q: %d %s", tt.host, status, body)
		}
		if got := len(f.requests()); got > 0 != (tt.status == 200) {
			t.Errorf("to another server for %q: it has got %d requests", tt.host, got)
		}
	}

	aws := newWorld(t, newAWS(t, "s3.us-east-1.amazonaws.com"), Options{})
	leadTo(aws)
	for host, want := range map[string]int{"": 200, "s3.us-east-1.amazonaws.com:443": 200, "evil.test": 403, "sts.us-east-1.amazonaws.com": 403} {
		r := newRequest(t, "GET", "https://s3.us-east-1.amazonaws.com/b/k", "")
		if host != "" {
			r.Host = host
		}
		sign(t, r, aws.Local("p"), hashOf(""), "s3", "us-east-1", time.Now())
		if status, body := do(t, aws.client(t, false), r); status != want || status == 403 && !isFault(body, "AccessDenied", host) {
			t.Errorf("to AWS for %q: %d %s", host, status, body)
		}
	}
}

// TestNoHost: a URL that has no host does not lead to this machine.
func TestNoHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newService(t, false), Options{})
	w.transports.dial = func(_ context.Context, _, address string) (net.Conn, error) {
		t.Errorf("it connects to %s", address)
		return nil, io.EOF
	}
	for _, target := range []string{"http:x", "http:///x", "http://:80/x"} {
		c, err := net.Dial("tcp", w.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: evil.test\r\n\r\n", target)
		if answer, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || answer.StatusCode != 400 {
			t.Errorf("%s: %v, %v", target, answer, err)
		}
	}
}

// TestOnlyWhereSigned: --sign-only is about the region that a request is signed for in the end, which in the endpoint way need
// not be the client's.
func TestOnlyWhereSigned(t *testing.T) {
	t.Parallel()
	for only, want := range map[string]int{"*@eu-west-1": 403, "iam@us-east-1": 200} {
		limits, err := services.ParseLimits(only)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, newAWS(t, "iam.amazonaws.com"), Options{Only: limits, Endpoints: map[string]string{}})
		leadTo(w)
		r := newRequest(t, "POST", w.URL()+"/", "Action=ListUsers&Version=2010-05-08")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		sign(t, r, w.Local("p"), hashOf("Action=ListUsers&Version=2010-05-08"), "iam", "eu-west-1", time.Now())
		status, body := do(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, r)
		if status != want || status == 403 && !strings.Contains(body, "iam in us-east-1") {
			t.Errorf("%s: %d %s", only, status, body)
		}
		if got := len(w.service.requests()); got > 0 != (want == 200) {
			t.Errorf("%s: the service has got %d requests", only, got)
		}
	}
}

// TestClocks: a server's clock says nothing of AWS's.
func TestClocks(t *testing.T) {
	t.Parallel()
	url := func(host string) *url.URL { return &url.URL{Scheme: "https", Host: host + ":443"} }
	far, near := time.Now().Add(time.Hour), time.Now().Add(time.Minute)
	var c clocks
	expect := func(host string, far bool) {
		t.Helper()
		if got := time.Until(c.now(url(host))) > 50*time.Minute; got != far {
			t.Errorf("%s is far from our time: %v", host, got)
		}
	}
	c.set(url("minio.internal"), far)
	expect("minio.internal", true)
	expect("other.internal", false)
	expect("s3.eu-west-1.amazonaws.com", false)
	c.set(url("s3.eu-west-1.amazonaws.com"), far)
	c.set(url("minio.internal"), near)
	expect("minio.internal", false)
	expect("sts.us-east-1.amazonaws.com", true)
	for i := range 2 * maxHosts {
		c.set(url(fmt.Sprint("h", i)), far)
	}
	if len(c.skew) > maxHosts {
		t.Errorf("%d are remembered", len(c.skew))
	}
}

// TestBug: a panic costs one request, and is said once, without what it holds.
func TestBug(t *testing.T) {
	t.Parallel()
	log := &journal{}
	w := newWorld(t, newService(t, false), Options{Log: log.logger()})
	w.forward.ModifyResponse = func(*http.Response) error { panic("a secret") }
	send := func(body io.Reader) error {
		r, err := http.NewRequestWithContext(t.Context(), "POST", w.service.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := w.client(t, false).Do(r)
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
	for range 2 {
		if err := send(nil); err == nil {
			t.Error("there is an answer")
		}
	}
	if got := log.lines(); len(got) != 1 || !strings.Contains(got[0], "TestBug") || strings.Contains(got[0], "a secret") {
		t.Errorf("the log has\n%s", strings.Join(got, "\n"))
	}

	// The body is read by the transport.
	lines := lines{log: log.logger()}
	body := contained{io.NopCloser(readerFunc(func([]byte) (int, error) { var none []int; return none[0], nil })), &lines}
	var failed *sigv4.Error
	if _, err := body.Read(nil); !errors.As(err, &failed) || failed.Status != 500 {
		t.Errorf("the body: %v", err)
	}
	if got := log.lines(); len(got) != 2 || !strings.Contains(got[1], "index out of range") {
		t.Errorf("the log has\n%s", strings.Join(got, "\n"))
	}
}

// TestTooMany: connections beyond the limit wait for others to end, in whichever way those are used.
func TestTooMany(t *testing.T) {
	t.Parallel()
	f := newService(t, false)
	log := &journal{}
	s, err := Listen(Options{Log: log.logger(), Hosts: []string{f.host()}, Environ: []string{"AWS_CA_BUNDLE=" + f.bundle(t)}})
	if err != nil {
		t.Fatal(err)
	}
	s.open = make(chan struct{}, 2)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	w := &world{Server: s, service: f}
	far := echo(t)
	_, first, _ := connectTo(t, w, far, "")
	_, second, _ := connectTo(t, w, far, "")
	for deadline := time.Now().Add(testTimeout); !strings.Contains(log.lines()[0], "ulimit -n"); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the log does not say that there are too many")
		}
	}
	var may atomic.Bool
	direct := s.transports.dial
	s.transports.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if !may.Load() {
			t.Error("a third connection is served")
		}
		return direct(ctx, network, address)
	}
	third := make(chan int, 1)
	go func() {
		answer, _, _ := connectTo(t, w, far, "")
		third <- answer.StatusCode
	}()
	may.Store(true)
	first.Close()
	select {
	case got := <-third:
		if got != 200 {
			t.Errorf("the third one: %d", got)
		}
	case <-time.After(testTimeout):
		t.Fatal("the third one is never served")
	}
	second.Close()
	client := w.client(t, false)
	for range 5 { // all that ends is counted
		if status, body := do(t, client, newRequest(t, "GET", f.URL, "")); status != 200 {
			t.Errorf("decrypted: %d %s", status, body)
		}
		client.CloseIdleConnections()
		c, err := net.Dial("tcp", s.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Error(err)
		}
		c.Close()
	}
}

// TestAskedOnce: where a service does not answer, its clients do not wait for one another.
func TestAskedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		p := protocols{ask: func(context.Context, string, string) (bool, error) {
			asked++
			time.Sleep(dialTime)
			return true, io.EOF
		}}
		hello := &tls.ClientHelloInfo{SupportedProtos: []string{"h2"}}
		start := time.Now()
		for range 10 { // one after the other, as the lock has them
			p.config(hello, "x", "x:443", &tls.Config{})
		}
		if took := time.Since(start); took != dialTime || asked != 1 {
			t.Errorf("asked %d times in %v", asked, took)
		}
		time.Sleep(dialTime + 1)
		p.ask = func(context.Context, string, string) (bool, error) { return true, nil }
		if all := new(tls.Config); p.config(hello, "x", "x:443", all) != all {
			t.Error("it is not asked again")
		}
	})
}
