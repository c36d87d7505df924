package sign

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/writer/sign/sigv4"
)

// targets are paths and queries that have to arrive as they were sent.
var targets = []string{
	"/", "//a", "///", "/a//b", "/a/../b", "/./", "/..", "/a/.", "/%2F", "/a%2fb", "/a%20b", "/a+b", "/%C3%BC", "/ü", "//ü%20",
	"/a?", "/?a", "/?a=%2B&a=", "/?a=+&b=%20", "/a%00b", "/a;b=c", "/a:b@c", "/a?x=/../y", "/?a;b", "/?a=%zz", "/!$&'()*,~", "/a|b^`{}\"<>",
	"/?q=ü|", "/a%2e%2e/b", "/?list-type=2&prefix=a/b&&", "/?=", "/a=b?c=d=e",
}

// rawService is a server that shows request lines, and what follows, as they came.
func rawService(t *testing.T) (address string, heads chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	heads = make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					var head strings.Builder
					for {
						line, err := r.ReadString('\n')
						if err != nil {
							return
						}
						if line == "\r\n" {
							break
						}
						head.WriteString(line)
					}
					heads <- head.String()
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}()
		}
	}()
	return l.Addr().String(), heads
}

// signedHead is the head of a GET request that is signed for S3, with the target as it stands.
func signedHead(t *testing.T, w *world, target, host string) string {
	t.Helper()
	path, query, _ := strings.Cut(target, "?")
	at := time.Now().UTC()
	r := &sigv4.Request{Method: "GET", Path: path, Query: query, Host: host, Header: http.Header{
		"X-Amz-Date":           {at.Format("20060102T150405Z")},
		"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"},
		"Authorization": {"AWS4-HMAC-SHA256 Credential=x/" + at.Format("20060102") + "/us-east-1/s3/aws4_request, " +
			"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0"},
	}}
	signature, err := sigv4.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = signature.Renew(r, w.Local("p"), ""); err != nil {
		t.Fatal(err)
	}
	head := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n", target, host)
	for name, values := range r.Header {
		head += name + ": " + values[0] + "\r\n"
	}
	return head + "\r\n"
}

// TestTargets: path and query go on byte for byte, signed or not, also by the request line that proxies for plain HTTP get.
func TestTargets(t *testing.T) {
	t.Parallel()
	address, heads := rawService(t)
	f := newService(t, false)
	w := newWorld(t, f, Options{Hosts: []string{address}, Endpoints: map[string]string{"": "http://" + address}})
	for _, target := range targets {
		for _, way := range []string{"unsigned", "endpoint"} {
			c, err := net.Dial("tcp", w.listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			switch way {
			case "unsigned":
				fmt.Fprintf(c, "GET http://%s%s HTTP/1.1\r\nHost: %s\r\n\r\n", address, target, address)
			case "endpoint":
				io.WriteString(c, signedHead(t, w, target, w.listener.Addr().String()))
			}
			answer, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != 200 {
				text, _ := io.ReadAll(answer.Body)
				t.Errorf("%s, %s: %s %s", target, way, answer.Status, text)
				c.Close()
				continue
			}
			c.Close()
			line, _, _ := strings.Cut(<-heads, "\r\n")
			want := target
			if target == "//ü%20" {
				want = "//%C3%BC%20" // two slashes in front leave no other way
			}
			if line != "GET "+want+" HTTP/1.1" {
				t.Errorf("%s, %s: the service gets %q", target, way, line)
			}
		}
	}
}

// TestTargetsHTTP2 is the same where the client and the service speak HTTP/2.
func TestTargetsHTTP2(t *testing.T) {
	t.Parallel()
	w, base, client := ways[1].start(t, Options{})
	for _, target := range targets {
		path, query, marked := strings.Cut(target, "?")
		r := newRequest(t, "GET", base, "")
		r.URL, path = asURL("https", w.service.host(), path, query, marked)
		if status, body := do(t, client, r); status != 200 {
			t.Errorf("%s: %d %s", target, status, body)
			continue
		}
		if marked {
			path += "?" + query
		}
		if got := w.service.requests()[0]; got.RequestURI != path || got.ProtoMajor != 2 {
			t.Errorf("%s: the service gets %q by %s", target, got.RequestURI, got.Proto)
		}
	}
}

// TestHeaders: the service gets the client's headers and no other, and so the client the service's.
func TestHeaders(t *testing.T) {
	t.Parallel()
	address, heads := rawService(t)
	f := newService(t, false)
	w := newWorld(t, f, Options{Hosts: []string{address}})
	for _, tt := range []struct{ name, sent, want string }{
		{"none", "", ""},
		{"of browsers and proxies", "Accept: */*\r\nForwarded: for=x\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Host: h\r\nX-Forwarded-Proto: p\r\nVia: x\r\n", "same"},
		{"twice", "X-A: 1\r\nX-A: 2\r\n", "same"},
		{"empty", "X-Empty:\r\n", "X-Empty: \r\n"},
		{"an encoding", "Accept-Encoding: gzip\r\n", "same"},
		{"of one hop", "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nKeep-Alive: 1\r\nX-A: 1\r\n", "X-A: 1\r\n"},
		{"the agent", "User-Agent: x/1\r\n", "same"},
	} {
		c, err := net.Dial("tcp", w.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET http://%s/ HTTP/1.1\r\nHost: %s\r\n%s\r\n", address, address, tt.sent)
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if diff := cmp.Diff(http.Header{"Content-Length": {"2"}}, answer.Header); diff != "" {
			t.Errorf("%s: the answer's headers (-want +got):\n%s", tt.name, diff)
		}
		want := tt.want
		if want == "same" {
			want = tt.sent
		}
		_, got, _ := strings.Cut(<-heads, "\r\n")
		if diff := cmp.Diff(lineSet("Host: "+address+"\r\n"+want), lineSet(got)); diff != "" {
			t.Errorf("%s: the service's (-want +got):\n%s", tt.name, diff)
		}
	}
}

// lineSet counts lines.
func lineSet(text string) map[string]int {
	set := map[string]int{}
	for line := range strings.Lines(text) {
		set[strings.TrimSpace(line)]++
	}
	return set
}

// FuzzURL: what net/http takes in as a target it sends in the same bytes, or in escaped ones that mean the same.
func FuzzURL(f *testing.F) {
	for _, target := range targets {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		in, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")))
		if err != nil || !strings.HasPrefix(in.RequestURI, "/") {
			return
		}
		path, query, marked := strings.Cut(in.RequestURI, "?")
		u, sent := asURL("https", "x", path, query, marked)
		want := sent
		if marked {
			want += "?" + query
		}
		if got := u.RequestURI(); got != want {
			t.Errorf("%q is sent as %q, not as %q", in.RequestURI, got, want)
		}
		if sent != path {
			a, _ := url.PathUnescape(path)
			if b, err := url.PathUnescape(sent); err != nil || a != b || !strings.HasPrefix(path, "//") {
				t.Errorf("%q is escaped to %q", path, sent)
			}
		}
	})
}
