package sign

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestContinue: a client that waits to be told to go on sends its body only if the service wants it.
func TestContinue(t *testing.T) {
	t.Parallel()
	for _, way := range []way{ways[0], ways[2]} {
		for _, wanted := range []bool{true, false} {
			w, base, client := way.start(t, Options{})
			for _, waits := range []*http.Transport{client.Transport.(*http.Transport), w.transports.http1} {
				waits.ExpectContinueTimeout = testTimeout // a busy machine takes its time
			}
			w.service.then = func(w http.ResponseWriter, r *http.Request) {
				if !wanted {
					w.WriteHeader(http.StatusTemporaryRedirect)
					return
				}
				n, _ := io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, n)
			}
			r := newRequest(t, "PUT", base+"/b/k", "")
			var read atomic.Bool
			r.Body, r.ContentLength = io.NopCloser(readerFunc(func(p []byte) (int, error) {
				read.Store(true)
				return strings.NewReader("body").Read(p)
			})), 4
			r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
			r.Header.Set("Expect", "100-continue")
			sign(t, r, w.Local("p"), "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now())
			status, body := do(t, client, r)
			if wanted && (status != 200 || body != "4") || !wanted && (status != 307 || read.Load()) {
				t.Errorf("%s, wanted: %v: %d %s, sent: %v", way.name, wanted, status, body, read.Load())
			}
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestTrailers: both directions have headers behind the body, and answers before the answer.
func TestTrailers(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		w, base, client := way.start(t, Options{})
		w.service.then = func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Link", "early")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Trailer", "X-After")
			io.WriteString(w, r.Trailer.Get("X-Sum"))
			w.Header().Set("X-After", "after")
		}
		hinted := make(chan string, 1)
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hinted <- fmt.Sprint(code, h.Get("Link"))
			return nil
		}})
		r := newRequest(t, "PUT", base+"/b/k", "").WithContext(ctx)
		r.Trailer = http.Header{"X-Sum": nil}
		r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("body"), readerFunc(func([]byte) (int, error) {
			r.Trailer.Set("X-Sum", "sum")
			return 0, io.EOF
		}))), -1
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		sign(t, r, w.Local("p"), "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now())
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != 200 || string(body) != "sum" || answer.Trailer.Get("X-After") != "after" || len(hinted) != 1 || <-hinted != "103early" {
			t.Errorf("%s: %s %q %v", way.name, answer.Status, body, answer.Trailer)
		}
	}
}

// TestBothWays: an answer begins before the request has ended, and each side gets what the other has sent at once.
func TestBothWays(t *testing.T) {
	t.Parallel()
	for _, way := range ways[:2] {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			testBothWays(t, way)
		})
	}
}

func testBothWays(t *testing.T, way way) {
	w, base, client := way.start(t, Options{})
	w.service.then = func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 {
			http.NewResponseController(w).EnableFullDuplex()
		}
		w.Header().Set("Content-Length", fmt.Sprint(len("one back\ntwo back\n"))) // what has a length could wait for all of it
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			fmt.Fprintln(w, lines.Text(), "back")
			http.NewResponseController(w).Flush()
		}
	}
	body, send := io.Pipe()
	r := newRequest(t, "POST", base, "")
	r.Body, r.ContentLength = body, -1
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got := bufio.NewScanner(answer.Body)
	for _, line := range []string{"one", "two"} {
		fmt.Fprintln(send, line)
		if !got.Scan() || got.Text() != line+" back" {
			t.Errorf("%q comes back as %q", line, got.Text())
		}
	}
	send.Close()
	if got.Scan() || got.Err() != nil {
		t.Errorf("at the end: %q, %v", got.Text(), got.Err())
	}
}

// TestUpgrade: a presigned WebSocket is a connection of its own.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	w, base, client := ways[0].start(t, Options{})
	w.service.then = func(w http.ResponseWriter, r *http.Request) {
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(c, buffered)
	}
	r := newRequest(t, "GET", base+"/", "")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	sign(t, r, w.Local("p"), hashOf(""), "transcribe", "us-east-1", time.Now())
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 101 {
		text, _ := io.ReadAll(answer.Body)
		t.Fatalf("%s %s", answer.Status, text)
	}
	c := answer.Body.(io.ReadWriteCloser)
	io.WriteString(c, "hello\n")
	if line, err := bufio.NewReader(c).ReadString('\n'); line != "hello\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// TestCancelled: a client that goes away ends the request to the service.
func TestCancelled(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		w, base, client := way.start(t, Options{})
		entered, left := make(chan struct{}), make(chan struct{})
		w.service.then = func(w http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done()
			close(left)
		}
		ctx, cancel := context.WithCancel(t.Context())
		r := newRequest(t, "GET", base+"/b/k", "").WithContext(ctx)
		sign(t, r, w.Local("p"), hashOf(""), "s3", "us-east-1", time.Now())
		go func() {
			<-entered
			cancel()
		}()
		if answer, err := client.Do(r); err == nil {
			answer.Body.Close()
			t.Errorf("%s: %s", way.name, answer.Status)
		}
		select {
		case <-left:
		case <-time.After(testTimeout):
			t.Errorf("%s: the service still answers", way.name)
		}
		if got := w.record(t); got.Status != 0 {
			t.Errorf("%s: reported as %+v", way.name, got)
		}
	}
}

// TestKeptConnections: requests share connections to the service, also after one that it has closed meanwhile.
func TestKeptConnections(t *testing.T) {
	t.Parallel()
	f := &service{keys: real}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.answer))
	var opened atomic.Int32
	f.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	f.StartTLS()
	t.Cleanup(f.Close)
	w := newWorld(t, f, Options{})
	client := w.client(t, false)
	ask := func() {
		t.Helper()
		r := newRequest(t, "POST", f.URL, "body")
		sign(t, r, w.Local("p"), hashOf("body"), "dynamodb", "us-east-1", time.Now())
		if status, body := do(t, client, r); status != 200 {
			t.Errorf("%d %s", status, body)
		}
	}
	for range 5 {
		ask()
		client.CloseIdleConnections() // the client's are not what matters
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections to the service", n)
	}
	f.CloseClientConnections()
	ask()
	if n := opened.Load(); n != 2 {
		t.Errorf("%d connections to the service, after the first was closed", n)
	}
}

// TestEncodings: an answer is what the client asked for, compressed or not.
func TestEncodings(t *testing.T) {
	t.Parallel()
	for _, way := range ways[:2] { // a request without a signature has no way on by the endpoint
		w, base, client := way.start(t, Options{})
		client.Transport.(*http.Transport).DisableCompression = true
		w.service.then = func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"], w.Header()["Date"] = nil, nil
			w.Header().Set("X-Got", r.Header.Get("Accept-Encoding"))
			io.WriteString(w, "<html>")
		}
		answer, err := client.Get(base)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		_, kind := answer.Header["Content-Type"]
		_, date := answer.Header["Date"]
		if answer.StatusCode != 200 || kind || date || answer.Header.Get("X-Got") != "" {
			t.Errorf("%s: %v", way.name, answer.Header)
		}
	}
}
