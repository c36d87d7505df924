package sign

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"brs-exec.example/brs-exec/writer/sign/sigv4"
)

// testTimeout is for what would hang.
const testTimeout = 3 * time.Minute

// real are the real credentials of the tests.
var real = aws.Credentials{AccessKeyID: "ASIAREAL", SecretAccessKey: "real/secret", SessionToken: "real+token=="}

// service is a stand-in for AWS: it checks signatures, and answers with what it got.
type service struct {
	*httptest.Server
	keys      aws.Credentials
	authority []byte // PEM; nil: the certificate itself

	mu   sync.Mutex
	got  []*http.Request // with their bodies read
	body []string
	then http.HandlerFunc // answers a request with the right signature; nil: 200 and "ok"
}

func newService(t testing.TB, http2 bool) *service {
	t.Helper()
	f := &service{keys: real}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.answer))
	f.EnableHTTP2 = http2
	f.Config.ErrorLog = log.New(io.Discard, "", 0) // connections that only ask for the version of HTTP
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

func (f *service) answer(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	then := f.then
	f.mu.Unlock()
	if then == nil {
		then = func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }
	}
	request := asSent(r, r.RequestURI)
	signature, err := sigv4.Parse(request)
	body := ""
	if err == nil && signature != nil && signature.KeyID == f.keys.AccessKeyID {
		hash := ""
		if signature.NeedsBody() {
			var b *spooled
			if b, err = spool(r.Body, r.ContentLength); err == nil {
				hash, body = b.hash, string(b.memory)
			}
		}
		if err == nil {
			err = signature.Check(request, f.keys.SecretAccessKey, hash)
		}
		if err == nil && signature.Token != f.keys.SessionToken {
			err = fmt.Errorf("the session token is %q", signature.Token)
		}
	}
	if err != nil {
		http.Error(w, "service: "+err.Error(), 599)
		return
	}
	f.mu.Lock()
	f.got, f.body = append(f.got, r), append(f.body, body)
	f.mu.Unlock()
	then(w, r)
}

// requests are those that have come since the last call.
func (f *service) requests() []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	got := f.got
	f.got, f.body = nil, nil
	return got
}

func (f *service) host() string { return strings.TrimPrefix(f.URL, "https://") }

// bundle is a file with the service's authority.
func (f *service) bundle(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	text := f.authority
	if text == nil {
		text = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// world is a running Server between a client and a service.
type world struct {
	*Server
	service *service
	records chan Request
}

func newWorld(t testing.TB, f *service, o Options) *world {
	t.Helper()
	w := &world{service: f, records: make(chan Request, 1000)}
	o.Notify = func(r Request) { w.records <- r }
	o.Environ = append(o.Environ, "AWS_CA_BUNDLE="+f.bundle(t))
	if o.Hosts == nil {
		o.Hosts = []string{f.host()}
	}
	if o.Endpoints == nil {
		o.Endpoints = map[string]string{"": f.URL}
	}
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	w.Server = s
	if err := s.Deliver(t.Context(), map[string]aws.Credentials{"p": real}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return w
}

// record is that of the last request.
func (w *world) record(t testing.TB) Request {
	t.Helper()
	select {
	case r := <-w.records:
		return r
	case <-time.After(testTimeout):
		t.Fatal("no request is reported")
		return Request{}
	}
}

// client goes through the proxy, and trusts its authority alone.
func (w *world) client(t testing.TB, http2 bool) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.authority.PEM())
	proxy, _ := url.Parse(w.URL())
	transport := &http.Transport{
		Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: http2,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// way is one of the four in which a request can come in and go on.
type way struct {
	name     string
	http2    bool // of the client and the service
	endpoint bool
}

var ways = []way{{"proxy", false, false}, {"proxy, HTTP/2", true, false}, {"endpoint", false, true}}

// start makes a world for a way, the base URL and the client for it.
func (way way) start(t testing.TB, o Options) (w *world, base string, client *http.Client) {
	t.Helper()
	f := newService(t, way.http2)
	w = newWorld(t, f, o)
	if way.endpoint {
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		return w, w.URL(), &http.Client{Transport: transport}
	}
	return w, f.URL, w.client(t, way.http2)
}

// sign signs a request as clients do.
func sign(t testing.TB, r *http.Request, keys aws.Credentials, hash, service, region string, at time.Time) {
	t.Helper()
	if err := v4.NewSigner().SignHTTP(t.Context(), keys, r, hash, service, region, at); err != nil {
		t.Fatal(err)
	}
}

func presign(t testing.TB, r *http.Request, keys aws.Credentials, at time.Time) (url string, headers http.Header, err error) {
	return v4.NewSigner().PresignHTTP(t.Context(), keys, r, "UNSIGNED-PAYLOAD", "s3", "us-east-1", at, func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
}

func newRequest(t testing.TB, method, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func do(t testing.TB, c *http.Client, r *http.Request) (status int, body string) {
	t.Helper()
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

const identity = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>` +
	`<Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`

// TestSDK has a client of AWS's go each way.
func TestSDK(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			w, base, client := way.start(t, Options{})
			w.service.then = func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, identity) }
			local := w.Local("p")
			c := sts.New(sts.Options{
				Region: "eu-west-1", BaseEndpoint: aws.String(base), HTTPClient: client, RetryMaxAttempts: 1,
				Credentials: credentials.NewStaticCredentialsProvider(local.AccessKeyID, local.SecretAccessKey, ""),
			})
			got, err := c.GetCallerIdentity(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if aws.ToString(got.Arn) != "arn:aws:sts::123456789012:assumed-role/r/s" {
				t.Errorf("the ARN is %q", aws.ToString(got.Arn))
			}
			r := w.record(t)
			if r.Profile != "p" || r.KeyID != local.AccessKeyID || r.Service != "sts" || r.Region != "eu-west-1" || r.Status != 200 ||
				r.Host != w.service.host() || r.Refused != "" || r.Received != int64(len(identity)) || r.Sent == 0 || r.Method != "POST" {
				t.Errorf("reported as %+v", r)
			}
			asked := w.service.requests()
			if len(asked) != 1 || (asked[0].ProtoMajor == 2) != way.http2 {
				t.Errorf("the service got %d requests", len(asked))
			}
		})
	}
}
