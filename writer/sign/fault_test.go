package sign

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/writer/sign/authority"
)

// newAWS is a service under a name of AWS's.
func newAWS(t *testing.T, name string) *service {
	t.Helper()
	a, err := authority.New([]string{"amazonaws.com"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := &service{keys: real, authority: a.PEM()}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.answer))
	f.TLS = a.Config(name).Clone()
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

// journal is a log.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) lines() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Split(strings.TrimSpace(j.text.String()), "\n")
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// refusing is an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestUnreachable: where a service does not answer the client gets an error that it retries on, and the log one line.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	closing := func(answer string) func(t *testing.T) string {
		return func(t *testing.T) string {
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
					io.WriteString(c, answer)
					c.Close()
				}
			}()
			return l.Addr().String()
		}
	}
	for _, tt := range []struct {
		name, proxy string // of the user's
		target      func(t *testing.T) string
		text        string
	}{
		{"nobody listens", "", refusing, "refused"},
		{"hangs up", "", closing(""), "cannot be reached"},
		{"speaks no TLS", "", closing("220 ready\r\n"), "cannot be reached"},
		{"another's certificate", "", func(t *testing.T) string { return newService(t, false).host() }, "is not trusted"},
		{"the user's proxy wants a password", "http://proxy.test:1", func(t *testing.T) string {
			s := httptest.NewServer(answerConnect("", "u:p", nil))
			t.Cleanup(s.Close)
			return s.Listener.Addr().String()
		}, "Proxy Authentication Required"},
		{"nor is the user's proxy", "http://proxy.test:1", refusing, "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			log := &journal{}
			o := Options{Log: log.logger(), Region: "us-east-1", Endpoints: map[string]string{}}
			if tt.proxy != "" {
				o.Environ = []string{"HTTPS_PROXY=" + tt.proxy}
			}
			w := newWorld(t, newAWS(t, "s3.us-east-1.amazonaws.com"), o)
			target, direct := tt.target(t), w.transports.dial
			w.transports.dial = func(ctx context.Context, network, _ string) (net.Conn, error) { return direct(ctx, network, target) }
			for range 2 {
				for base, client := range map[string]*http.Client{"https://s3.us-east-1.amazonaws.com": w.client(t, true), w.URL(): {Transport: &http.Transport{DisableKeepAlives: true}}} {
					r := newRequest(t, "PUT", base+"/b/k", "body")
					sign(t, r, w.Local("p"), hashOf("body"), "s3", "us-east-1", time.Now())
					status, body := do(t, client, r)
					if status != 503 || !isFault(body, "ServiceUnavailable", "s3.us-east-1.amazonaws.com", tt.text) {
						t.Errorf("%s: %d %s", base, status, body)
					}
					if got := w.record(t); got.Refused != "ServiceUnavailable" || got.Status != 503 {
						t.Errorf("reported as %+v", got)
					}
				}
			}
			if answer, _, _ := connectTo(t, w, "db.test:5432", ""); tt.text == "refused" || tt.proxy != "" {
				if text, _ := io.ReadAll(answer.Body); answer.StatusCode != 502 || !isFault(string(text), tt.text) {
					t.Errorf("a tunnel: %s %s", answer.Status, text)
				}
			}
			lines := log.lines()
			if n := strings.Count(strings.Join(lines, "\n"), "s3.us-east-1"); n == 0 || len(lines) > 2 {
				t.Errorf("the log has\n%s", strings.Join(lines, "\n"))
			}
		})
	}
}

// TestWrongProtocol: a client that speaks the wrong protocol gets an answer, and the log says which.
func TestWrongProtocol(t *testing.T) {
	t.Parallel()
	log := &journal{}
	w := newWorld(t, newService(t, false), Options{Log: log.logger()})
	own := w.listener.Addr().String()

	c, err := net.Dial("tcp", own)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "\x16\x03\x01\x00\x05hello")
	if got, err := io.ReadAll(c); !bytes.Equal(got, alert) {
		t.Errorf("TLS to the plain port: %x, %v", got, err)
	}

	answer, c, r := connectTo(t, w, "s3.us-east-1.amazonaws.com:443", "")
	if answer.StatusCode != 200 {
		t.Fatalf("CONNECT: %s", answer.Status)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: s3.us-east-1.amazonaws.com\r\n\r\n")
	if answer, err = http.ReadResponse(r, nil); err != nil || answer.StatusCode != 400 {
		t.Errorf("plain HTTP to a host of AWS's: %v, %v", answer, err)
	}

	for _, itself := range []string{own, strings.Replace(own, "127.0.0.1", "localhost", 1), strings.Replace(own, "127.0.0.1", "127.1.2.3", 1)} {
		if answer, _, _ = connectTo(t, w, itself, ""); answer.StatusCode != http.StatusLoopDetected {
			t.Errorf("CONNECT %s: %s", itself, answer.Status)
		}
		c, err := net.Dial("tcp", own)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n", itself, itself)
		if answer, err = http.ReadResponse(bufio.NewReader(c), nil); err != nil || answer.StatusCode != http.StatusLoopDetected {
			t.Errorf("GET http://%s: %v, %v", itself, answer, err)
		}
		c.Close()
	}
	if got := log.lines(); len(got) != 3 {
		t.Errorf("the log has\n%s", strings.Join(got, "\n"))
	}
}

// TestNotAWS: local keys are not signed for where the host is not AWS's.
func TestNotAWS(t *testing.T) {
	t.Parallel()
	address, heads := rawService(t)
	w := newWorld(t, newService(t, false), Options{})
	r := newRequest(t, "GET", "http://"+address+"/", "")
	sign(t, r, w.Local("p"), hashOf(""), "s3", "us-east-1", time.Now())
	if status, body := do(t, w.client(t, false), r); status != 403 || !isFault(body, "AccessDenied", "--sign-host "+address) {
		t.Errorf("%d %s", status, body)
	}
	if len(heads) > 0 {
		t.Errorf("it was sent on")
	}
}

// TestEnd is not parallel: it looks at all goroutines. Whatever is under way when Run ends is cut off.
func TestEnd(t *testing.T) {
	f := newService(t, true)
	entered := make(chan struct{}, 10)
	hold := make(chan struct{})
	f.then = func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		entered <- struct{}{}
		<-hold
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s, err := Listen(Options{Hosts: []string{f.host()}, Environ: []string{"AWS_CA_BUNDLE=" + f.bundle(t)}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Server: s, service: f}
	if err := s.Deliver(t.Context(), map[string]aws.Credentials{"p": real}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for _, http2 := range []bool{false, true} {
		r := newRequest(t, "GET", f.URL, "")
		sign(t, r, s.Local("p"), hashOf(""), "s3", "us-east-1", time.Now())
		answer, err := w.client(t, http2).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		<-entered
	}
	connectTo(t, w, silent.Addr().String(), "")
	connectTo(t, w, f.host(), "")
	idle, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(testTimeout):
		t.Fatal("Run does not return")
	}
	close(hold)
	// The last instructions of a goroutine come after the news that it is done.
	deadline := time.Now().Add(testTimeout)
	for left := leftGoroutines(); left != ""; left = leftGoroutines() {
		if time.Now().After(deadline) {
			t.Fatalf("goroutines after Run:\n%s", left)
		}
		runtime.Gosched()
	}
}

// TestEndTooMany: Run ends also where connections beyond the limit wait for others to end.
func TestEndTooMany(t *testing.T) {
	t.Parallel()
	log := &journal{}
	s, err := Listen(Options{Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	s.open = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	idle, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	for deadline := time.Now().Add(testTimeout); !strings.Contains(log.lines()[0], "ulimit -n"); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the log does not say that there are too many")
		}
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(testTimeout):
		t.Fatal("Run does not return")
	}
}

func leftGoroutines() string {
	buf := make([]byte, 1<<20)
	var left []string
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "sign.(*Server)") || strings.Contains(g, "sign.pass") {
			left = append(left, g)
		}
	}
	return strings.Join(left, "\n\n")
}
