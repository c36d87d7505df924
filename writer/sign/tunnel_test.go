package sign

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// echo is a server that reads until its client has no more to say, and then says it all again.
func echo(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				all, _ := io.ReadAll(c)
				c.Write(all)
			}()
		}
	}()
	return l.Addr().String()
}

// connectTo sends CONNECT, with more behind it at once, and returns what is answered.
func connectTo(t *testing.T, w *world, address, more string) (*http.Response, net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", w.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(testTimeout))
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n%s", address, address, more)
	r := bufio.NewReader(c)
	answer, err := http.ReadResponse(r, &http.Request{Method: "CONNECT"})
	if err != nil {
		t.Fatal(err)
	}
	return answer, c, r
}

// answerConnect answers CONNECT by a connection to target.
func answerConnect(target, password string, asked chan<- string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if password != "" && r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(password)) {
			http.Error(w, "who are you?", http.StatusProxyAuthRequired)
			return
		}
		asked <- r.Method + " " + r.RequestURI
		up, err := net.Dial("tcp", target)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		down, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		io.WriteString(down, established)
		go func() {
			io.Copy(up, buffered)
			up.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(down, up)
		down.Close()
		up.Close()
	}
}

// socks answers one SOCKS5 request after the other, without authentication.
func socks(t *testing.T, target string, asked chan<- string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				head := make([]byte, 2)
				io.ReadFull(c, head)
				io.ReadFull(c, make([]byte, head[1]))
				c.Write([]byte{5, 0})
				request := make([]byte, 5)
				io.ReadFull(c, request)
				rest := make([]byte, int(request[4])+2)
				io.ReadFull(c, rest)
				asked <- fmt.Sprintf("SOCKS %s:%d", rest[:len(rest)-2], int(rest[len(rest)-2])<<8|int(rest[len(rest)-1]))
				up, err := net.Dial("tcp", target)
				if err != nil {
					return
				}
				defer up.Close()
				c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
				go func() {
					io.Copy(up, c)
					up.(*net.TCPConn).CloseWrite()
				}()
				io.Copy(c, up)
			}()
		}
	}()
	return l.Addr().String()
}

// TestTunnel: what is no host of AWS's passes untouched, each direction for itself, through the user's proxy where there is one.
func TestTunnel(t *testing.T) {
	t.Parallel()
	target := echo(t)
	for _, tt := range []struct {
		name, url string // of the proxy
		serve     func(t *testing.T, asked chan<- string) (address string)
		asked     string
	}{
		{name: "no proxy"},
		{"HTTP", "http://u:p@proxy.test:3128", func(t *testing.T, asked chan<- string) string {
			s := httptest.NewServer(answerConnect(target, "u:p", asked))
			t.Cleanup(s.Close)
			return s.Listener.Addr().String()
		}, "CONNECT db.test:5432"},
		{"HTTPS", "https://u:p@example.com:3129", func(t *testing.T, asked chan<- string) string {
			s := httptest.NewTLSServer(answerConnect(target, "u:p", asked)) // its certificate is for example.com
			t.Cleanup(s.Close)
			return s.Listener.Addr().String()
		}, "CONNECT db.test:5432"},
		{"SOCKS", "socks5://proxy.test:1080", func(t *testing.T, asked chan<- string) string {
			return socks(t, target, asked)
		}, "SOCKS db.test:5432"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan string, 10)
			o, local := Options{}, target
			if tt.serve != nil {
				o.Environ, local = []string{"HTTPS_PROXY=" + tt.url}, tt.serve(t, asked)
			}
			w := newWorld(t, newService(t, false), o)
			direct := w.transports.dial
			w.transports.dial = func(ctx context.Context, network, _ string) (net.Conn, error) { return direct(ctx, network, local) }
			answer, c, r := connectTo(t, w, "db.test:5432", "at once ")
			if answer.StatusCode != 200 {
				text, _ := io.ReadAll(answer.Body)
				t.Fatalf("CONNECT: %s %s", answer.Status, text)
			}
			io.WriteString(c, "\x16 and later")
			c.(*net.TCPConn).CloseWrite()
			got, err := io.ReadAll(r)
			if err != nil || string(got) != "at once \x16 and later" {
				t.Errorf("came back: %q, %v", got, err)
			}
			if tt.asked != "" && <-asked != tt.asked {
				t.Errorf("the proxy was not asked for %s", tt.asked)
			}
		})
	}
}

// TestSignedThroughProxy: requests that are signed go through the user's proxy as well, and what NO_PROXY says does not.
func TestSignedThroughProxy(t *testing.T) {
	t.Parallel()
	for _, direct := range []bool{false, true} {
		f := newAWS(t, "s3.us-east-1.amazonaws.com")
		asked := make(chan string, 10)
		user := httptest.NewServer(answerConnect(f.host(), "", asked))
		t.Cleanup(user.Close)
		o := Options{Environ: []string{"https_proxy=http://proxy.test:3128"}}
		if direct {
			o.Environ = append(o.Environ, "NO_PROXY=.amazonaws.com")
		}
		w := newWorld(t, f, o)
		plain := w.transports.dial
		w.transports.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "proxy.test:3128" {
				return plain(ctx, network, user.Listener.Addr().String())
			}
			return plain(ctx, network, f.host())
		}
		r := newRequest(t, "GET", "https://s3.us-east-1.amazonaws.com/b/k", "")
		sign(t, r, w.Local("p"), hashOf(""), "s3", "us-east-1", time.Now())
		if status, body := do(t, w.client(t, false), r); status != 200 {
			t.Errorf("NO_PROXY: %v: %d %s", direct, status, body)
		}
		if got := w.record(t); got.Host != "s3.us-east-1.amazonaws.com" {
			t.Errorf("reported as %+v", got)
		}
		if len(asked) != map[bool]int{false: 1, true: 0}[direct] {
			t.Errorf("NO_PROXY: %v: the proxy was asked %d times", direct, len(asked))
		}
	}
}

// TestHTTP2Mirrored: a client that can speak HTTP/2 gets it where the service does, and the service is asked once.
func TestHTTP2Mirrored(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		w := newWorld(t, newService(t, http2), Options{})
		times := 0
		ask := w.protocols.ask
		w.protocols.ask = func(ctx context.Context, name, address string) (bool, error) {
			times++
			return ask(ctx, name, address)
		}
		for range 2 {
			client := w.client(t, true)
			answer, err := client.Get(w.service.URL)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if (answer.ProtoMajor == 2) != http2 {
				t.Errorf("the service speaks HTTP/2: %v, the client %s", http2, answer.Proto)
			}
		}
		if times != 1 {
			t.Errorf("the service is asked %d times", times)
		}
	}
}

// TestSessionsResume: a client's second connection needs no full handshake.
func TestSessionsResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newService(t, false), Options{})
	client := w.client(t, false)
	transport := client.Transport.(*http.Transport)
	transport.DisableKeepAlives = true
	transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i := range 2 {
		answer, err := client.Get(w.service.URL)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.TLS.DidResume != (i == 1) {
			t.Errorf("connection %d resumes: %v", i+1, answer.TLS.DidResume)
		}
	}
}

func isFault(body string, texts ...string) bool {
	for _, text := range texts {
		if !strings.Contains(body, text) {
			return false
		}
	}
	return true
}
