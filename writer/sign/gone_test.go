package sign

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestGone: a client that goes away in the midst of its body is no fault of the service.
func TestGone(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{"", "UNSIGNED-PAYLOAD"} {
		log := &journal{}
		w := newWorld(t, newService(t, false), Options{Log: log.logger()})
		r := newRequest(t, "PUT", w.URL()+"/b/k", "0123456789")
		service, hash := "dynamodb", hashOf("0123456789")
		if payload != "" {
			service, hash = "s3", payload
			r.Header.Set("X-Amz-Content-Sha256", payload)
		}
		sign(t, r, w.Local("p"), hash, service, "us-east-1", time.Now())
		var text strings.Builder
		r.Write(&text)
		c, err := net.Dial("tcp", w.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, text.String()) // whose connection it is has to be known before it goes
		if answer, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || answer.StatusCode != 200 {
			t.Fatalf("%q: %v, %v", payload, answer, err)
		}
		w.record(t)
		io.WriteString(c, strings.TrimSuffix(text.String(), "789"))
		c.Close()
		if got := w.record(t); got.Refused != "" || got.Status != 0 {
			t.Errorf("%q: reported as %+v", payload, got)
		}
		if got := log.lines(); got[0] != "" {
			t.Errorf("%q: the log has %s", payload, got)
		}
	}
}

// TestMalformedBody: a client whose body is malformed is told.
func TestMalformedBody(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{"", "UNSIGNED-PAYLOAD"} {
		w := newWorld(t, newService(t, false), Options{})
		r := newRequest(t, "PUT", w.URL()+"/b/k", "")
		service, hash := "dynamodb", hashOf("body")
		if payload != "" {
			service, hash = "s3", payload
			r.Header.Set("X-Amz-Content-Sha256", payload)
		}
		sign(t, r, w.Local("p"), hash, service, "us-east-1", time.Now())
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("body")), -1
		var text strings.Builder
		r.Write(&text)
		c, err := net.Dial("tcp", w.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		io.WriteString(c, strings.TrimSuffix(text.String(), "0\r\n\r\n")+"x\r\n")
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || answer.StatusCode != 400 {
			t.Errorf("%q: %v, %v", payload, answer, err)
		}
		if got := w.record(t); got.Refused != "IncompleteBody" {
			t.Errorf("%q: reported as %+v", payload, got)
		}
	}
}

// TestEarlyAnswer: what the service answers before it has read the body reaches a client that sends no more, and that it hangs
// up one that does.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, answer string
		sends        bool
		want         int
	}{
		{"an error", "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\n<no/>\r\n0\r\n\r\n", false, 403},
		{"hangs up", "", true, 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
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
					http.ReadRequest(bufio.NewReader(c))
					io.WriteString(c, tt.answer)
					c.Close()
				}
			}()
			w := newWorld(t, newService(t, false), Options{Endpoints: map[string]string{"": "http://" + l.Addr().String()}})
			r := newRequest(t, "PUT", w.URL()+"/b/k", "")
			body, send := io.Pipe()
			r.Body, r.ContentLength = body, 1<<40
			if tt.sends {
				go io.Copy(send, readerFunc(func(p []byte) (int, error) { return len(p), nil }))
			}
			r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
			sign(t, r, w.Local("p"), "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now())
			c, err := net.Dial("tcp", w.listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			go r.Write(c)
			c.SetReadDeadline(time.Now().Add(testTimeout))
			answer, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != tt.want {
				t.Errorf("%s, %v", answer.Status, err)
			}
			body.Close()
		})
	}
}
