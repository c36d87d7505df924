//go:build unix

package integration

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// cloud is a world in which AWS's names lead to its server, over TLS, HTTP/1.1 and HTTP/2. It takes
// no namespace: the user has a proxy, which wants a password and knows these names.
type cloud struct {
	*world
	proxy     *upstream
	authority *fakeaws.Authority // in the user's AWS_CA_BUNDLE
}

func newCloud(t *testing.T, life time.Duration) *cloud {
	t.Helper()
	return cloudIn(t, newWorld(t, life))
}

func cloudIn(t *testing.T, w *world) *cloud {
	t.Helper()
	authority, err := fakeaws.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.server.ServeTLS(l, authority.Config())
	c := &cloud{world: w, authority: authority, proxy: newUpstream(t, l.Addr().String())}
	w.unset("AWS_ENDPOINT_URL")
	w.env["AWS_CA_BUNDLE"] = w.write("authority.pem", string(authority.PEM()))
	w.env["HTTPS_PROXY"] = "http://job:" + upstreamPassword + "@" + c.proxy.Listener.Addr().String()
	w.env["AWS_DEFAULT_REGION"] = "us-east-1" // boto3 reads no other
	w.env["AWS_MAX_ATTEMPTS"] = "1"           // every refusal is to be seen
	secrets := w.secrets
	w.secrets = func() []string {
		if secrets == nil {
			return []string{upstreamPassword}
		}
		return append(secrets(), upstreamPassword)
	}
	return c
}

// upstream is the proxy that the user has.
type upstream struct {
	*httptest.Server
	aws string // where AWS's names lead

	mu     sync.Mutex // guards what follows
	routes map[string]string
	asked  []string // host:port of each CONNECT
}

const upstreamPassword = "pr0xyPassw0rd-of-the-user"

var awsName = regexp.MustCompile(`\.(amazonaws\.com(\.cn)?|api\.aws):443$`)

func newUpstream(t *testing.T, aws string) *upstream {
	u := &upstream{aws: aws, routes: map[string]string{}}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("job:"+upstreamPassword)) {
			w.Header().Set("Proxy-Authenticate", "Basic")
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		address := u.ask(r.Host)
		if r.Method != http.MethodConnect || address == "" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		there, err := net.Dial("tcp", address)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer there.Close()
		here, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer here.Close()
		fmt.Fprint(here, "HTTP/1.1 200 Connection established\r\n\r\n")
		done := make(chan struct{})
		go func() {
			defer close(done)
			io.Copy(there, buffered) // what came behind the request, too
			there.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(here, there)
		here.(*net.TCPConn).CloseWrite()
		<-done
	}))
	t.Cleanup(u.Close)
	return u
}

// ask writes down for what the proxy is asked, and returns where that leads, "" for nowhere.
func (u *upstream) ask(host string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = append(u.asked, host)
	if address := u.routes[strings.ToLower(host)]; address != "" { // names have no case
		return address
	}
	if awsName.MatchString(host) {
		return u.aws
	}
	return ""
}

// route leads a host:port to another address.
func (u *upstream) route(host, address string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.routes[strings.ToLower(host)] = address
}

func (u *upstream) hosts() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.asked)
}

// The two ways in which a command reaches the listener.
const (
	byProxy    = "proxy"
	byEndpoint = "endpoint"
)

// signer is a run of --deliver sign, with what its command found in the environment.
type signer struct {
	*process
	t    *testing.T
	env  map[string]string
	keys aws.Credentials // the local ones
}

// sign starts brs-exec with --deliver sign around a command that waits for the test's end.
func (w *world) sign(args ...string) *signer {
	w.t.Helper()
	const ready = "ready, says the command"
	p := w.brsExec(append(append([]string{"--role-arn", roleARN, "--deliver", "sign"}, args...), "--", "sh", "-c", "env; echo '"+ready+"'; exec cat >/dev/null")...)
	eventually(w.t, patience, "the command is started", func() bool { return strings.Contains(p.stdout.String(), ready+"\n") || p.ended() })
	if p.ended() {
		w.t.Fatalf("ended with %d\n%s", p.exit(), p.stderr.String())
	}
	s := &signer{process: p, t: w.t, env: map[string]string{}}
	for _, line := range p.stdout.lines() {
		if name, value, ok := strings.Cut(line, "="); ok {
			s.env[name] = value
		}
	}
	s.keys = aws.Credentials{AccessKeyID: s.env["AWS_ACCESS_KEY_ID"], SecretAccessKey: s.env["AWS_SECRET_ACCESS_KEY"]}
	if s.keys.AccessKeyID == "" || s.keys.SecretAccessKey == "" || s.env["AWS_SESSION_TOKEN"] != "" {
		w.t.Fatalf("the command finds the keys %q, %d bytes of secret, %d of token", s.keys.AccessKeyID, len(s.keys.SecretAccessKey), len(s.env["AWS_SESSION_TOKEN"]))
	}
	return s
}

// end ends the command, and with it the run.
func (s *signer) end() {
	s.t.Helper()
	s.stdin.Close()
	if code := s.exit(); code != 0 {
		s.t.Errorf("exit code %d, want 0", code)
	}
}

// proxyURL is what the command has in HTTPS_PROXY.
func (s *signer) proxyURL() *url.URL {
	s.t.Helper()
	u, err := url.Parse(s.env["HTTPS_PROXY"])
	if err != nil || u.Hostname() != "127.0.0.1" {
		s.t.Fatalf("HTTPS_PROXY is %q: %v", s.env["HTTPS_PROXY"], err)
	}
	return u
}

// roots is what the command trusts.
func (s *signer) roots() *x509.CertPool {
	s.t.Helper()
	text, err := os.ReadFile(s.env["AWS_CA_BUNDLE"])
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}

// client is one such as the command could be, of the process that runs the test, which is the same user's.
func (s *signer) client(http2 bool) *http.Client {
	proxy := s.proxyURL()
	transport := &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			if r.URL.Hostname() == "127.0.0.1" { // in NO_PROXY
				return nil, nil
			}
			return proxy, nil
		},
		TLSClientConfig:   &tls.Config{RootCAs: s.roots()},
		ForceAttemptHTTP2: http2, DisableCompression: true,
	}
	if !http2 {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// base is what a service's URLs begin with in each of the two ways.
func (s *signer) base(way, host string) string {
	if way == byEndpoint {
		return strings.TrimSuffix(s.env["AWS_ENDPOINT_URL"], "/")
	}
	return "https://" + host
}

// dial opens a connection to a host through the proxy, over TLS with HTTP/1.1.
func (s *signer) dial(host string) *tls.Conn {
	s.t.Helper()
	conn, err := s.tunnel(host)
	if err != nil {
		s.t.Fatal(err)
	}
	name, _, _ := strings.Cut(host, ":")
	secure := tls.Client(conn, &tls.Config{RootCAs: s.roots(), ServerName: name, NextProtos: []string{"http/1.1"}})
	if err := secure.Handshake(); err != nil {
		s.t.Fatalf("TLS with %s: %v", host, err)
	}
	return secure
}

// tunnel asks for one to host:port.
func (s *signer) tunnel(host string) (net.Conn, error) {
	conn, err := net.Dial("tcp", s.proxyURL().Host)
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", host, host)
	// Nothing follows the answer before the client speaks.
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(answer.Body)
		return nil, fmt.Errorf("%s: %s", answer.Status, body)
	}
	return conn, nil
}

func hexSHA256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// signWith signs a request as the SDK for Go does. A payload of "" is the hash of the body.
func signWith(t *testing.T, r *http.Request, keys aws.Credentials, service, region, payload, body string, at time.Time) {
	t.Helper()
	if payload == "" {
		payload = hexSHA256(body)
	}
	if service == "s3" {
		r.Header.Set("X-Amz-Content-Sha256", payload)
	}
	err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" }).
		SignHTTP(context.Background(), keys, r, payload, service, region, at)
	if err != nil {
		t.Fatal(err)
	}
}

// sent returns the calls that reached the server, but for brs-exec's own.
func (w *world) sent() []fakeaws.Call {
	return slices.DeleteFunc(w.server.Calls(), func(c fakeaws.Call) bool {
		return c.Action == "AssumeRole" && c.KeyID == w.server.Bootstrap().AccessKeyID
	})
}
