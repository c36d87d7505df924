package sign

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// quick is a service that checks nothing: it takes a body, and answers with as many bytes as "size" says.
func quick(w http.ResponseWriter, r *http.Request) {
	io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 64<<10))
	size, _ := strconv.Atoi(r.URL.Query().Get("size"))
	w.Header().Set("Content-Length", strconv.Itoa(size))
	w.Write(make([]byte, size))
}

// startQuick is [way.start] for benchmarks.
func (way way) startQuick(b *testing.B) (w *world, base string, client *http.Client) {
	f := &service{keys: real, Server: httptest.NewUnstartedServer(http.HandlerFunc(quick))}
	f.EnableHTTP2 = way.http2
	f.StartTLS()
	b.Cleanup(f.Close)
	w = newWorld(b, f, Options{})
	ended := make(chan struct{})
	b.Cleanup(func() { close(ended) })
	go func() {
		for {
			select {
			case <-w.records:
			case <-ended:
				return
			}
		}
	}()
	if way.endpoint {
		transport := &http.Transport{}
		b.Cleanup(transport.CloseIdleConnections)
		return w, w.URL(), &http.Client{Transport: transport}
	}
	return w, f.URL, w.client(b, way.http2)
}

// ask sends a request of S3's, and reads its answer.
func ask(b *testing.B, w *world, client *http.Client, method, url, hash string, body []byte) {
	r := newRequest(b, method, url, "")
	if method == "PUT" {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	r.Header.Set("X-Amz-Content-Sha256", hash)
	sign(b, r, w.Local("p"), hash, "s3", "us-east-1", time.Now())
	answer, err := client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		b.Fatalf("%s: %s", answer.Status, text)
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, answer.Body, make([]byte, 64<<10)); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSmall is a small request and its answer: of the client, the server and the service together.
func BenchmarkSmall(b *testing.B) {
	for _, way := range ways {
		b.Run(way.name, func(b *testing.B) {
			w, base, client := way.startQuick(b)
			ask(b, w, client, "GET", base+"/b/k?size=100", hashOf(""), nil)
			b.ReportAllocs()
			for b.Loop() {
				ask(b, w, client, "GET", base+"/b/k?size=100", hashOf(""), nil)
			}
		})
	}
}

// BenchmarkLong is a request with a body or an answer of 64 MiB. Bodies in chunks are in writer/sign/sigv4.
func BenchmarkLong(b *testing.B) {
	const size = 64 << 20
	body := make([]byte, size)
	for _, way := range ways {
		for _, form := range []struct{ name, method, hash string }{
			{"GET", "GET", hashOf("")},
			{"PUT unsigned", "PUT", "UNSIGNED-PAYLOAD"},
			{"PUT hash given", "PUT", strings.Repeat("0", 64)},
		} {
			b.Run(way.name+"/"+form.name, func(b *testing.B) {
				w, base, client := way.startQuick(b)
				url := base + "/b/k"
				if form.method == "GET" {
					url = fmt.Sprintf("%s?size=%d", url, size)
				}
				b.SetBytes(size)
				b.ReportAllocs()
				for b.Loop() {
					ask(b, w, client, form.method, url, form.hash, body)
				}
			})
		}
	}
}
