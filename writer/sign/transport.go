package sign

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/proxy"

	"brs-exec.example/brs-exec/writer/sign/authority"
)

const (
	// dialTime bounds each of the steps to a service: the connection, and TLS on it.
	dialTime = 10 * time.Second
	// continueTime is how long a service has to say whether it wants a body. It is that of curl and botocore.
	continueTime = time.Second
	// keepTime is how long an unused connection to a service is kept.
	keepTime = 60 * time.Second
	// maxIdle is how many are kept of one service.
	maxIdle = 1000
	// window bounds what is buffered of each stream of an HTTP/2 connection, and windows of all together.
	window, windows = 64 << 10, 1 << 20
)

var http2Config = &http.HTTP2Config{MaxReceiveBufferPerConnection: windows, MaxReceiveBufferPerStream: window}

// transports send requests on, in the version of HTTP in which they came: a service that speaks HTTP/2 as well gets a connection
// for each of a client's of HTTP/1.1, as without us.
type transports struct {
	http1, http2 *http.Transport
	proxies      *authority.Proxies
	roots        *x509.CertPool
	dial         dialFunc
}

// dialFunc is that of a net.Dialer. It is a proxy.ContextDialer, too.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// DialContext is the function.
func (d dialFunc) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d(ctx, network, address)
}

// Dial is the function, too.
func (d dialFunc) Dial(network, address string) (net.Conn, error) {
	return d(context.Background(), network, address)
}

func newTransports(proxies *authority.Proxies, roots *x509.CertPool) *transports {
	t := &transports{proxies: proxies, roots: roots, dial: (&net.Dialer{Timeout: dialTime}).DialContext}
	of := func(http2 bool) *http.Transport {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(http2)
		return &http.Transport{
			Proxy:                  func(r *http.Request) (*url.URL, error) { return proxies.URL(r.URL) },
			DialContext:            func(ctx context.Context, n, a string) (net.Conn, error) { return t.dial(ctx, n, a) },
			TLSClientConfig:        &tls.Config{RootCAs: roots},
			TLSHandshakeTimeout:    dialTime,
			DisableCompression:     true, // what the client asked for is what it gets
			MaxIdleConnsPerHost:    maxIdle,
			IdleConnTimeout:        keepTime,
			ExpectContinueTimeout:  continueTime,
			MaxResponseHeaderBytes: 1 << 20,
			Protocols:              protocols,
			HTTP2:                  http2Config,
		}
	}
	t.http1, t.http2 = of(false), of(true)
	return t
}

func (t *transports) roundTrip(r *http.Request, major int) (*http.Response, error) {
	if major == 2 {
		return t.http2.RoundTrip(r)
	}
	return t.http1.RoundTrip(r)
}

func (t *transports) closeIdle() {
	t.http1.CloseIdleConnections()
	t.http2.CloseIdleConnections()
}

// tunnel connects to HOST:PORT, through the user's proxy if there is one for it.
func (t *transports) tunnel(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*dialTime)
	defer cancel()
	by, err := t.proxies.URL(&url.URL{Scheme: "https", Host: address})
	if err != nil {
		return nil, err
	}
	if by == nil {
		return t.dial(ctx, "tcp", address)
	}
	if by.Scheme != "socks5" && by.Scheme != "socks5h" {
		return t.connectBy(ctx, by, address)
	}
	var raw net.Conn // that of the SOCKS client hides CloseWrite
	d, err := proxy.FromURL(by, dialFunc(func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		raw, err = t.dial(ctx, network, address)
		return raw, err
	}))
	if err != nil {
		return nil, err
	}
	if _, err := d.(proxy.ContextDialer).DialContext(ctx, "tcp", address); err != nil {
		return nil, err
	}
	return raw, nil
}

// connectBy has an HTTP proxy connect.
func (t *transports) connectBy(ctx context.Context, by *url.URL, address string) (net.Conn, error) {
	port := "80"
	if by.Scheme == "https" {
		port = "443"
	}
	name, port := splitHost(by.Host, port)
	conn, err := t.dial(ctx, "tcp", net.JoinHostPort(name, port))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	up, err := t.connectOn(ctx, conn, name, by, address)
	if err != nil || !stop() {
		conn.Close()
		return nil, errors.Join(err, ctx.Err())
	}
	return up, nil
}

func (t *transports) connectOn(ctx context.Context, conn net.Conn, name string, by *url.URL, address string) (net.Conn, error) {
	if by.Scheme == "https" {
		secured := tls.Client(conn, &tls.Config{ServerName: name, RootCAs: t.roots})
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secured
	}
	ask := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if u := by.User; u != nil {
		password, _ := u.Password()
		ask.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := ask.Write(conn); err != nil {
		return nil, err
	}
	buffered := bufio.NewReaderSize(conn, 4<<10)
	answer, err := http.ReadResponse(buffered, ask)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the proxy %s answered %s", by.Host, answer.Status)
	}
	if buffered.Buffered() > 0 { // a server that speaks first
		return &bufferedConn{conn, buffered}, nil
	}
	return conn, nil
}

// bufferedConn has been read ahead of.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

func (c *bufferedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// joinHost is HOST:PORT as URLs have it.
func joinHost(name, port string) string { return net.JoinHostPort(name, port) }
