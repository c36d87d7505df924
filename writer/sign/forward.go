package sign

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"brs-exec.example/brs-exec/writer/sign/services"
	"brs-exec.example/brs-exec/writer/sign/sigv4"
)

// newForward is what sends requests on: to hop-by-hop headers, trailers, upgrades and 1xx answers it does what a proxy has to do.
func (s *Server) newForward() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        keepHeaders,
		Transport:      sender{s},
		FlushInterval:  -1,
		BufferPool:     &buffers{},
		ModifyResponse: s.look,
		ErrorHandler:   s.fail,
		ErrorLog:       log.New(io.Discard, "", 0), // the client's log has it
	}
}

// keepHeaders puts back what ReverseProxy takes out besides the headers of one hop.
func keepHeaders(p *httputil.ProxyRequest) {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := p.In.Header[name]; ok {
			p.Out.Header[name] = v
		}
	}
	p.Out.Trailer = p.In.Trailer // the server fills it in when the body has been read
}

// sender is the transport of the ReverseProxy.
type sender struct{ s *Server }

// RoundTrip signs a request, which has no headers of one hop any more, and sends it.
func (t sender) RoundTrip(out *http.Request) (*http.Response, error) {
	e := exchangeOf(out.Context())
	major := out.ProtoMajor
	path, query := e.sent.Path, e.sent.Query
	if e.moved {
		out.Host = displayHost(&e.to)
	}
	if e.way == wayEndpoint {
		out.Host = displayHost(&e.to)
		path = strings.TrimSuffix(e.to.EscapedPath(), "/") + path
	}
	_, marked := strings.CutPrefix(e.path, e.sent.Path+"?")
	out.URL, path = asURL(e.to.Scheme, e.to.Host, path, query, marked)
	if e.spooled != nil {
		out.ContentLength = e.spooled.length
		out.Body = io.NopCloser(e.spooled.reader())
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(e.spooled.reader()), nil }
	}
	if e.keys.HasKeys() {
		if err := t.sign(out, e, path, query, marked); err != nil {
			return nil, err
		}
	}
	if out.ContentLength == 0 {
		out.Body, out.GetBody = nil, nil
	}
	if out.Body != nil {
		out.Body = &counter{contained{out.Body, &t.s.lines}, &e.bytesSent, &e.errorOfReading}
	}
	return t.s.transports.roundTrip(out, major)
}

// sign signs a request and, if that has signatures of its own, its body.
func (t sender) sign(out *http.Request, e *exchange, path, query string, marked bool) error {
	hash := ""
	if e.spooled != nil {
		hash = e.spooled.hash
	}
	renewed, err := e.signature.Renew(&sigv4.Request{
		Method: out.Method, Path: path, Query: query, Host: out.Host, Header: out.Header, Length: out.ContentLength,
	}, e.keys, hash)
	if err != nil {
		return err
	}
	out.Header = renewed.Header
	out.URL, _ = asURL(e.to.Scheme, e.to.Host, path, renewed.Query, marked)
	if out.Body == nil || e.spooled != nil {
		return nil
	}
	body, length, err := e.signature.Body(e.secret, e.keys, renewed, out.Body)
	if err != nil {
		return err
	}
	out.Body, out.ContentLength = &readCloser{body, out.Body}, length
	return nil
}

// asURL is a URL that net/http sends as this path and query, byte for byte. marked tells that there is a "?", be it before
// nothing. A path that begins with "//" and has bytes that no URL has is escaped where it has to be, which it returns.
func asURL(scheme, host, path, query string, marked bool) (u *url.URL, sent string) {
	u = &url.URL{Scheme: scheme, Host: host, RawQuery: query, ForceQuery: marked && query == ""}
	if plain, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = plain, path
		if sent = u.EscapedPath(); sent == path || strings.HasPrefix(path, "//") {
			return u, sent
		}
	}
	u.Path, u.RawPath, u.Opaque = "", "", path
	return u, path
}

// look has a look at an answer on its way.
func (s *Server) look(answer *http.Response) error {
	e := exchangeOf(answer.Request.Context())
	if at, err := http.ParseTime(answer.Header.Get("Date")); err == nil && e.to.Scheme == "https" {
		s.clocks.set(&e.to, at)
	}
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return nil // the body is the connection
	}
	answer.Body = &counter{answer.Body, &e.bytesReceived, nil}
	s.learn(answer, e)
	return nil
}

// fail answers a request that could not be sent on, or whose answer did not come.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := exchangeOf(r.Context())
	if of := e.errorOfReading.Load(); of != nil {
		err = s.bodyFault(*of)
	}
	s.refuse(w, r, e, err)
}

// refuse answers in the shape that the client expects of the service.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, e *exchange, err error) {
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // nobody waits for an answer
	}
	var f *sigv4.Error
	if !errors.As(err, &f) {
		f = s.unreachable(e, err)
	}
	e.refused = f.Code
	w.Header().Set("Date", s.clocks.now(&e.to).UTC().Format(http.TimeFormat)) // clients set their clocks by it
	services.Refuse(w, r, e.service, services.Fault{Code: f.Code, Message: f.Message, Status: f.Status})
}

// unreachable words that a service did not answer. SDKs retry on it, as they do when they reach no service themselves.
func (s *Server) unreachable(e *exchange, err error) *sigv4.Error {
	host, what := displayHost(&e.to), "cannot be reached"
	var unknown x509.UnknownAuthorityError
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &unknown) || errors.As(err, &certificate) {
		what = "has a certificate that is not trusted"
	}
	s.lines.once("a host "+what, "host", host, "err", err)
	return fault("ServiceUnavailable", "brs-exec: "+host+" "+what+": "+err.Error(), http.StatusServiceUnavailable)
}

// buffers are those that answers are copied with.
type buffers struct{ pool sync.Pool }

// bufferSize is that of a record of TLS: more is never read at once.
const bufferSize = 16 << 10

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(p []byte) { b.pool.Put((*[bufferSize]byte)(p)) }

// maxAnswer is how long an answer with credentials may be.
const maxAnswer = 64 << 10

// learn keeps the credentials in an answer, if it is one that has some.
func (s *Server) learn(answer *http.Response, e *exchange) {
	if e.way != wayEndpoint || answer.StatusCode != http.StatusOK || !vends[e.service] {
		return
	}
	answer.Body = &learner{ReadCloser: answer.Body, encoding: answer.Header.Get("Content-Encoding"), to: s.keys.learned}
}

// learner keeps a copy of a body, and reads it at its end.
type learner struct {
	io.ReadCloser
	encoding string
	copied   bytes.Buffer
	to       *learned
}

func (l *learner) Read(p []byte) (n int, err error) {
	n, err = l.ReadCloser.Read(p)
	if l.copied.Len()+n <= maxAnswer {
		l.copied.Write(p[:n])
	}
	if err == io.EOF {
		if c, ok := readCredentials(l.copied.Bytes(), l.encoding); ok {
			l.to.add(c)
		}
	}
	return n, err
}
