package sign

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/writer/sign/services"
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
