package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestSkew(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	src := mustNew(t, Spec{Roles: []Role{{ARN: roleA}}})
	if got := src.Skew(); got != 0 {
		t.Errorf("Skew before any answer = %s, want 0", got)
	}
	steps := []struct {
		server time.Duration // ahead of us
		fail   bool
		want   time.Duration
	}{
		{0, false, 0},
		{-time.Hour, false, time.Hour},
		{2 * time.Hour, false, -2 * time.Hour},
		{time.Second, false, 0},
		{-5 * time.Minute, true, 5 * time.Minute}, // refusals tell the time as well
	}
	for _, step := range steps {
		sts.answer = func(w http.ResponseWriter, _ call) bool {
			w.Header().Set("Date", time.Now().Add(step.server).UTC().Format(http.TimeFormat))
			return step.fail && refuse(w, 403, "SignatureDoesNotMatch", "Signature expired: 20240101T000000Z is now earlier than 20240101T001000Z")
		}
		_, err := src.Retrieve(t.Context())
		if (err != nil) != step.fail {
			t.Fatalf("Retrieve = %v", err)
		}
		if err != nil {
			if e := failure(t, err); e.Permanent || !strings.Contains(e.Hint, "this machine's clock is 5m") || !strings.Contains(e.Hint, "ahead") {
				t.Errorf("error %q, permanent %v, hint %q; want a transient one on the clock", e, e.Permanent, e.Hint)
			}
		}
		if got := src.Skew(); (got - step.want).Abs() > time.Second {
			t.Errorf("server %s ahead: Skew = %s, want %s", step.server, got, step.want)
		}
	}
	sts.answer = func(w http.ResponseWriter, _ call) bool { w.Header()["Date"] = nil; return false }
	before := src.Skew()
	mustRetrieve(t, src)
	if got := src.Skew(); got != before {
		t.Errorf("Skew after an answer without Date = %s, want it left at %s", got, before)
	}
}

func TestSkewIsRounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 600e6, time.UTC)
	for date, want := range map[string]time.Duration{
		"Fri, 02 Jan 2026 03:04:05 GMT": 0,
		"Fri, 02 Jan 2026 03:04:04 GMT": 2 * time.Second,
		"Fri, 02 Jan 2026 03:04:07 GMT": 0,
		"Fri, 02 Jan 2026 03:04:08 GMT": -2 * time.Second,
		"Fri, 02 Jan 2026 02:04:05 GMT": time.Hour + time.Second,
		"nonsense":                      0,
		"":                              0,
	} {
		w := newWeb(limits{})
		w.answered(now, date)
		if got := w.skew(); got != want {
			t.Errorf("skew to %q = %s, want %s", date, got, want)
		}
	}
}

// After a retrieval nothing is left that would ever wake up.
func TestIdle(t *testing.T) {
	isolate(t)
	baseEnv(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	src := mustNew(t, Spec{Roles: []Role{{ARN: roleA}, {ARN: roleB}}})
	before := runtime.NumGoroutine()
	mustRetrieve(t, src)
	eventually(t, "no connection is open", func() bool { return sts.connections() == 0 })
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

// The end of the context ends the requests, also those that the SDK's cache makes
// and would leave behind.
func TestCancel(t *testing.T) {
	kinds := map[string]func(t *testing.T, url string) Spec{
		"role": func(t *testing.T, url string) Spec {
			baseEnv(t)
			setenv(t, "AWS_ENDPOINT_URL="+url)
			return Spec{Roles: []Role{{ARN: roleA}}}
		},
		"container": func(t *testing.T, url string) Spec {
			setenv(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+url)
			return Spec{}
		},
		"web identity": func(t *testing.T, url string) Spec {
			conf, _ := isolate(t)
			write(t, conf, jwt)
			setenv(t, "AWS_WEB_IDENTITY_TOKEN_FILE="+conf, "AWS_ROLE_ARN="+roleA, "AWS_ENDPOINT_URL="+url, "AWS_CONFIG_FILE="+filepath.Join(t.TempDir(), "none"))
			return Spec{}
		},
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			isolate(t)
			asked, gone := make(chan bool), make(chan bool)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.ParseForm() // the server only notices that the client has gone once the body is read
				asked <- true
				<-r.Context().Done()
				gone <- true
			}))
			defer srv.Close()
			src := mustNew(t, kind(t, srv.URL))
			before := runtime.NumGoroutine()
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				_, err := src.Retrieve(ctx)
				done <- err
			}()
			<-asked
			cancel()
			inTime(t, func() {
				err := <-done
				if e := failure(t, err); e.Permanent || !errors.Is(err, context.Canceled) || !strings.Contains(e.Error(), "stopped") {
					t.Errorf("error %q, permanent %v; want a transient one that is context.Canceled", e, e.Permanent)
				}
				<-gone
			})
			eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}

// What a network can do instead of answering: each must end in time, be worth a
// retry, and say what happened.
func TestNetworkFaults(t *testing.T) {
	t.Parallel()
	over := make(chan struct{}) // holds up a fake server
	ok := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/xml") }
	tests := []struct {
		name      string
		answer    func(w http.ResponseWriter, c call) bool
		want      string
		permanent bool
	}{
		{"no answer", func(http.ResponseWriter, call) bool { <-over; return true }, "no answer in time from 127.0.0.1", false},
		{"slow bytes", func(w http.ResponseWriter, _ call) bool {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-over:
					return true
				}
				fmt.Fprint(w, " ")
				w.(http.Flusher).Flush()
			}
		}, "no answer in time", false},
		{"hang up", func(http.ResponseWriter, call) bool { panic(http.ErrAbortHandler) }, "connection closed without an answer", false},
		{"reset", func(w http.ResponseWriter, _ call) bool {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
			return true
		}, "connection to 127.0.0.1", false},
		{"breaks off", func(w http.ResponseWriter, _ call) bool {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "<AssumeRoleResponse><"+shortSecret)
			return true
		}, "incomplete answer", false},
		{"too long", func(w http.ResponseWriter, _ call) bool {
			ok(w)
			fmt.Fprint(w, "<AssumeRoleResponse>"+strings.Repeat(" ", 1<<20))
			return true
		}, "the answer is too long", false},
		{"garbage", func(w http.ResponseWriter, _ call) bool { fmt.Fprint(w, "\x00\x01"+shortSecret); return true }, "unreadable answer from 127.0.0.1", false},
		{"empty", func(w http.ResponseWriter, _ call) bool { ok(w); return true }, "unreadable answer", false},
		{"web page", func(w http.ResponseWriter, _ call) bool {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<!doctype html><html><body>Log in: "+shortSecret+"</body></html>")
			return true
		}, "unreadable answer", false},
		{"other XML", func(w http.ResponseWriter, _ call) bool {
			fmt.Fprint(w, "<Other><Credentials><SecretAccessKey>"+shortSecret+"</SecretAccessKey></Credentials></Other>")
			return true
		}, "unreadable answer", false},
		{"no expiry", func(w http.ResponseWriter, _ call) bool {
			fmt.Fprintf(w, "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>%s</SecretAccessKey></Credentials></AssumeRoleResult></AssumeRoleResponse>", shortSecret)
			return true
		}, "unreadable answer", false},
		{"secret for a time", func(w http.ResponseWriter, _ call) bool {
			fmt.Fprintf(w, "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>b</SecretAccessKey><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>", shortSecret)
			return true
		}, "unreadable answer", false},
		{"redirect", func(w http.ResponseWriter, _ call) bool {
			w.Header().Set("Location", "http://127.0.0.1:1/"+shortSecret)
			w.WriteHeader(302)
			return true
		}, "HTTP 302 Found from 127.0.0.1", true},
		{"page not found", func(w http.ResponseWriter, _ call) bool {
			w.WriteHeader(404)
			fmt.Fprint(w, "<html>"+shortSecret)
			return true
		}, "HTTP 404 Not Found from 127.0.0.1", true},
		{"bad gateway", func(w http.ResponseWriter, _ call) bool {
			w.WriteHeader(502)
			fmt.Fprint(w, "<html>"+shortSecret)
			return true
		}, "HTTP 502 Bad Gateway from 127.0.0.1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			baseEnv(t)
			sts := newSTS(t)
			sts.answer = tt.answer
			setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
			over = make(chan struct{})
			t.Cleanup(func() { close(over) }) // before the server is closed
			limits := limits{connect: patient, whole: patient, body: 4096}
			if strings.HasPrefix(tt.want, "no answer") {
				limits.connect, limits.whole = 300*time.Millisecond, 600*time.Millisecond
			}
			src := mustNew(t, Spec{Roles: []Role{{ARN: roleA}}, limits: limits})
			inTime(t, func() {
				_, err := src.Retrieve(t.Context())
				e := failure(t, err)
				if !strings.Contains(e.Error(), "environment variables: assume role "+roleA+": "+tt.want) || e.Permanent != tt.permanent {
					t.Errorf("error %q, permanent %v; want %q, %v", e, e.Permanent, tt.want, tt.permanent)
				}
			})
			sts.CloseClientConnections()
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(nil)
	closed.Close()
	tls := httptest.NewUnstartedServer(nil)
	tls.Config.ErrorLog = log.New(io.Discard, "", 0) // that its certificate is refused
	tls.StartTLS()
	defer tls.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	tests := []struct {
		name, url, want, hint string
		permanent             bool
	}{
		{"refused", closed.URL, "connection refused", "", false},
		{"no such host", "http://sts.invalid", "cannot resolve sts.invalid", "check the network", false},
		{"unknown authority", tls.URL, "certificate signed by unknown authority", "AWS_CA_BUNDLE", true},
		{"no TLS", "https://" + strings.TrimPrefix(closed.URL, "http://"), "connection refused", "", false},
		{"mute TLS", "https://" + mute.Addr().String(), "no answer in time", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			baseEnv(t)
			setenv(t, "AWS_ENDPOINT_URL="+tt.url)
			limits := limits{connect: patient, whole: patient}
			switch {
			case strings.HasPrefix(tt.want, "no answer"):
				limits.connect = 300 * time.Millisecond
			case strings.HasPrefix(tt.want, "cannot resolve"): // there may be no resolver here
				limits.dial = func(context.Context, string, string) (net.Conn, error) {
					return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "sts.invalid", IsNotFound: true}}
				}
			}
			src := mustNew(t, Spec{Roles: []Role{{ARN: roleA}}, limits: limits})
			_, err := src.Retrieve(t.Context())
			if e := failure(t, err); !strings.Contains(e.Error(), tt.want) || e.Permanent != tt.permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q, permanent %v, hint %q; want %q, %v, %q", e, e.Permanent, e.Hint, tt.want, tt.permanent, tt.hint)
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	synctest.Test(t, func(t *testing.T) {
		n := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		src := mustNew(t, Spec{Roles: []Role{{ARN: roleA}}, limits: limits{dial: n.dial}})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		_, err := src.Retrieve(ctx)
		if e := failure(t, err); !errors.Is(err, context.DeadlineExceeded) || !strings.HasSuffix(e.Error(), "no answer in time from sts.test") {
			t.Errorf("error %q, want no answer in time", e)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %s, want 3s", took)
		}
	})
}

// AWS_CA_BUNDLE must reach the client.
func TestCABundle(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	sts := newSTS(t)
	tls := httptest.NewTLSServer(sts)
	defer tls.Close()
	bundle := t.TempDir() + "/ca.pem"
	write(t, bundle, pemOf(tls.Certificate().Raw))
	setenv(t, "AWS_ENDPOINT_URL="+tls.URL, "AWS_CA_BUNDLE="+bundle)
	mustRetrieve(t, mustNew(t, Spec{Roles: []Role{{ARN: roleA}}}))

	write(t, bundle, "no certificate")
	_, err := newIn(t, Spec{Roles: []Role{{ARN: roleA}}})
	if e := failure(t, err); !e.Permanent || !strings.Contains(e.Error(), "AWS_CA_BUNDLE: "+bundle+": holds no certificate") {
		t.Errorf("error %q, permanent %v, want AWS_CA_BUNDLE named", e, e.Permanent)
	}
	// Keys that are there need no certificate.
	mustRetrieve(t, mustNew(t, Spec{}))
}

// Go reads the proxy variables once, so that this takes a process of its own.
func TestProxy(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	proxy := newSTS(t)
	setenv(t, "HTTP_PROXY="+proxy.URL, "AWS_ENDPOINT_URL=http://sts.invalid")
	cmd := exec.Command(os.Args[0], "helper", "assume")
	cmd.Env = envOf(t).list()
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "ASIAROLE1" {
		t.Errorf("output %q, %v, want ASIAROLE1", out, err)
	}
	if calls := proxy.got(); len(calls) != 1 || calls[0].keyID != "AKIABASE" {
		t.Errorf("the proxy got %+v", calls)
	}
}

// One lost answer is made good within a retrieval; several are the engine's.
func TestRetries(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL, "AWS_MAX_ATTEMPTS=9")
	src := mustNew(t, Spec{Roles: []Role{{ARN: roleA}}})
	failures := 1
	sts.answer = func(w http.ResponseWriter, _ call) bool {
		failures--
		return failures >= 0 && refuse(w, 503, "ServiceUnavailable", "later")
	}
	if c := mustRetrieve(t, src); c.AccessKeyID != "ASIAROLE2" {
		t.Errorf("key id %s, want that of the second answer", c.AccessKeyID)
	}
	failures = 100
	sts.got()
	if _, err := src.Retrieve(t.Context()); err == nil {
		t.Error("Retrieve = nil")
	}
	if n := len(sts.got()); n != 2 {
		t.Errorf("%d attempts, want 2", n)
	}
}

var _ aws.CredentialsProvider = (*Source)(nil)
