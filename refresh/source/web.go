package source

import (
	"cmp"
	"context"
	"crypto/fips140"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// limits bound what a server, or a program, can do to us. Zero fields are the defaults.
type limits struct {
	connect time.Duration // dial, TLS handshake, response header: each; 0 is 10 s
	whole   time.Duration // one request with its body; 0 is 20 s
	body    int64         // longest answer in bytes; 0 is 1 MiB, far above any credentials

	metadata time.Duration // dial, answer of the instance metadata service; 0 is the SDK's

	program time.Duration // one run of a program that prints a token or an MFA code; 0 is a minute, and 30 s

	pollOnly bool  // watch no files: events come from outside of a test's clock
	noPoll   bool  // look at files only when there are events
	readOnly error // of each attempt to write to a cache of logins; nil: it can be written

	dial  func(ctx context.Context, network, address string) (net.Conn, error) // in place of the network
	roots func() (io.ReadCloser, error)                                        // in place of the system's file of authorities
}

// reach is how all sources of a pool reach servers.
type reach struct {
	limits   limits
	many     bool // sources, which are asked one after the other
	roots    roots
	client   httpClient
	metadata httpClient // for the instance metadata service
	patient  httpClient // the same, if it is slow
	paces    paces
}

// httpClient is an [aws.HTTPClient] that is made when it is first used.
type httpClient func() *http.Client

// Do implements [aws.HTTPClient].
func (c httpClient) Do(r *http.Request) (*http.Response, error) {
	resp, err := c().Do(r)
	if err != nil {
		return nil, err // and not with it the answer that was a redirect
	}
	return resp, nil
}

// web is what one Source saw of the servers that it asked.
type web struct {
	*reach
	slow atomic.Bool // the instance metadata service is

	mu      sync.Mutex
	ahead   time.Duration // local clock minus server's at the last response
	host    string        // last one asked
	id      string        // its service, in the SDK's words; "" if it is none of the SDK's
	replied bool          // it has answered
	anyone  bool          // anyone has answered in this retrieval
	status  int           // of its answer
	broken  error         // what kept its answer from being read to the end
}

func newWeb(l limits) *web { return &web{reach: newReach(l, false)} }

// keepConnection is how long a connection waits for the next call, where many sources are asked
// one after the other: a handshake of TLS is most of what a call costs.
const keepConnection = 3 * time.Second

// newReach makes what one source, or many, reach servers with.
func newReach(l limits, many bool) *reach {
	l.connect, l.whole = cmp.Or(l.connect, 10*time.Second), cmp.Or(l.whole, 20*time.Second)
	l.body = cmp.Or(l.body, 1<<20)
	r := &reach{limits: l, many: many}
	r.roots.open = openRoots
	if l.roots != nil {
		r.roots.open = l.roots
	}
	r.client = sync.OnceValue(func() *http.Client { return r.clientOf(r.transport(tlsConfig(), r.limits.connect)) })
	r.metadata = sync.OnceValue(func() *http.Client { return r.forMetadata(metadataAnswer) })
	r.patient = sync.OnceValue(func() *http.Client { return r.forMetadata(slowMetadataAnswer) })
	return r
}

// tlsConfig is the SDK's own.
func tlsConfig() *tls.Config {
	conf := &tls.Config{MinVersion: awshttp.DefaultHTTPTransportTLSMinVersion}
	if fips140.Enabled() {
		conf.CurvePreferences = awshttp.DefaultHTTPTransportTLSCurvePreferencesFIPS
	}
	return conf
}

// transport makes connections for HTTP/1.1 alone. connect is how long one may take. There are a few requests an hour:
// a connection kept for the next one would only be memory, a timer and two goroutines. HTTP/2 likewise.
func (r *reach) transport(conf *tls.Config, connect time.Duration) *http.Transport {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, OnProxyConnectResponse: proxyAnswer,
		DialContext: r.limits.dial, TLSClientConfig: conf, TLSHandshakeTimeout: r.limits.connect, ResponseHeaderTimeout: r.limits.connect,
		ExpectContinueTimeout: awshttp.DefaultHTTPTransportExpectContinueTimeout,
		DisableKeepAlives:     !r.many, IdleConnTimeout: keepConnection, MaxIdleConnsPerHost: 64, MaxIdleConns: awshttp.DefaultHTTPTransportMaxIdleConns,
		Protocols: &http.Protocols{},
	}
	t.Protocols.SetHTTP1(true)
	if t.DialContext == nil {
		t.DialContext = (&net.Dialer{Timeout: connect, KeepAlive: awshttp.DefaultDialKeepAliveTimeout}).DialContext
	}
	t.DialTLSContext = r.roots.dialTLS(t)
	return t
}

// clientOf is the client of a transport.
func (r *reach) clientOf(t *http.Transport) *http.Client {
	return &http.Client{Transport: t, Timeout: r.limits.whole, CheckRedirect: refuseRedirect}
}

const (
	// The SDK's own limits for the instance metadata service, which is near or not
	// there at all.
	metadataConnect = 250 * time.Millisecond
	metadataAnswer  = 500 * time.Millisecond

	// For one that has answered nothing in that time, but was there.
	slowMetadataAnswer = 2 * time.Second
)

// metadataClient asks the instance metadata service. On a busy machine it may be slow, and the
// SDK, which got no token in time, would be refused without one, each time again.
type metadataClient struct{ *reach }

// Do implements aws.HTTPClient.
func (c metadataClient) Do(r *http.Request) (*http.Response, error) {
	w := webOf(r.Context())
	if w.slow.Load() {
		return c.patient.Do(r)
	}
	resp, err := c.metadata.Do(r)
	var late net.Error
	var unreachable *net.OpError // of the dialer
	if errors.As(err, &late) && late.Timeout() && !errors.As(err, &unreachable) && r.Context().Err() == nil {
		w.slow.Store(true)
	}
	return resp, err
}

// forMetadata is the client for the instance metadata service. The SDK's would be the
// same, but for the dial of tests.
func (r *reach) forMetadata(answer time.Duration) *http.Client {
	t := r.transport(tlsConfig(), cmp.Or(r.limits.metadata, metadataConnect))
	t.DisableKeepAlives, t.ResponseHeaderTimeout = true, cmp.Or(r.limits.metadata, answer)
	return r.clientOf(t)
}

var errElsewhere = errors.New("the server answers with a redirect, which is not followed")

// refuseRedirect is a CheckRedirect that follows none. No service of AWS's sends one, and
// what a request holds (a container's token, that of a web identity) is for the
// server that it was made for alone.
func refuseRedirect(r *http.Request, _ []*http.Request) error {
	switch answer := r.Response; answer.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect: // which are about the same request
		webOf(r.Context()).answered(time.Now(), answer.Header.Get("Date"))
		return fmt.Errorf("%w: HTTP %d %s", errElsewhere, answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	return http.ErrUseLastResponse
}

// in makes w what the calls under a context are seen by: the clients are those of many sources.
func (w *web) in(ctx context.Context) context.Context { return context.WithValue(ctx, webKey{}, w) }

type webKey struct{}

func webOf(ctx context.Context) *web {
	if w, ok := ctx.Value(webKey{}).(*web); ok {
		return w
	}
	return newWeb(limits{}) // nobody looks
}

// options put the watching into every operation of every client.
func (r *reach) options() []func(*middleware.Stack) error {
	return []func(*middleware.Stack) error{
		// After all others is next to the wire: before anything was parsed.
		func(st *middleware.Stack) error { return st.Deserialize.Add(watch{r}, middleware.After) },
		inTurn{&r.paces}.addTo,
	}
}

// watch takes down the server's clock and name, and bounds its answer.
type watch struct{ *reach }

func (watch) ID() string { return "WatchServer" }

func (m watch) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	w := webOf(ctx)
	if req, ok := in.Request.(*smithyhttp.Request); ok {
		w.asked(req.URL.Host)
		w.by(awsmiddleware.GetServiceID(ctx))
	}
	out, md, err := next.HandleDeserialize(ctx, in)
	// Where there was no answer the SDK makes one up, with no status.
	if resp, ok := out.RawResponse.(*smithyhttp.Response); ok && resp != nil && resp.Response != nil && resp.StatusCode != 0 {
		w.answered(time.Now(), resp.Header.Get("Date"))
		w.with(resp.StatusCode)
		if resp.Body != nil {
			resp.Body = &boundedBody{resp.Body, w, m.limits.body}
		}
	}
	return out, md, err
}

// asked begins an exchange with host, or with "" a retrieval.
func (w *web) asked(host string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.host, w.id, w.replied, w.status, w.broken = host, "", false, 0, nil
	w.anyone = w.anyone && host != ""
}

func (w *web) by(service string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.id = service
}

func (w *web) with(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = status
}

// lastStatus is that of the last answer, 0 for none.
func (w *web) lastStatus() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

func (w *web) service() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.id
}

// disbelieve forgets what the last Date header said.
func (w *web) disbelieve() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead = 0
}

// heard says whether anyone has answered in this retrieval, whatever it was.
func (w *web) heard() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.anyone
}

// last tells how the last exchange went.
func (w *web) last() (host string, replied bool, broken error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.host, w.replied, w.broken
}

func (w *web) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = err
}

// answered keeps what a Date header (RFC 9110 section 6.6.1) tells. An answer
// without one tells nothing, and leaves what was known.
func (w *web) answered(now time.Time, date string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replied, w.anyone = true, true
	t, err := http.ParseTime(date)
	if err != nil {
		return
	}
	// Round(0): wall clocks are compared.
	ahead := now.Round(0).Sub(t).Round(time.Second)
	if ahead.Abs() < 2*time.Second {
		ahead = 0
	}
	w.ahead = ahead
}

// adopt takes over what another has seen, of a call that was made for both.
func (w *web) adopt(other *web) {
	other.mu.Lock()
	ahead, host, id, replied, anyone, broken := other.ahead, other.host, other.id, other.replied, other.anyone, other.broken
	other.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead, w.host, w.id, w.replied, w.anyone, w.broken = ahead, host, id, replied, anyone || w.anyone, broken
}

// adoptSkew takes over what another process has measured.
func (w *web) adoptSkew(skew time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead = skew
}

func (w *web) skew() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ahead
}

const proxyHint = "look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY"

// proxyAnswer is for a proxy that makes no connection. Go's own error for it has neither
// its name nor a word about a proxy.
func proxyAnswer(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	e := transientf(proxyHint, "the proxy %s answers %d %s", proxy.Host, resp.StatusCode, http.StatusText(resp.StatusCode))
	e.Permanent = resp.StatusCode == http.StatusProxyAuthRequired || resp.StatusCode == http.StatusForbidden
	return e
}

var errTooLong = errors.New("the answer is too long")

// boundedBody is a body that fails, rather than ends, after so many bytes, and that
// keeps why it failed: the SDK reports that as it reports a parse error.
type boundedBody struct {
	io.ReadCloser
	w    *web
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.w.failed(errTooLong)
		return 0, errTooLong
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if err != nil && err != io.EOF {
		b.w.failed(err)
	}
	return n, err
}
