//go:build unix

package integration

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// stsName has no address anywhere: who reaches it came through the proxy.
const stsName = "sts.invalid"

// proxy is one for HTTPS, behind which stsName is the world's server.
type proxy struct {
	*httptest.Server

	mu    sync.Mutex
	asked []string // for what, and with which authorization
}

// newProxy starts one that refuses everything, or nothing.
func newProxy(t *testing.T, w *world, refusing bool) *proxy {
	t.Helper()
	ca := newCertifier(t)
	cert, key := ca.make(&x509.Certificate{Subject: pkix.Name{CommonName: stsName}, DNSNames: []string{stsName}, KeyUsage: x509.KeyUsageDigitalSignature}, time.Hour)
	target, err := url.Parse(w.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	// It leaves the Host header as it is, which the signature is for.
	front := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(target))
	front.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}
	front.StartTLS()
	t.Cleanup(front.Close)
	p := &proxy{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization"))
		p.mu.Unlock()
		if refusing || r.Method != http.MethodConnect {
			rw.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		there, err := net.Dial("tcp", front.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer there.Close()
		here, _, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer here.Close()
		fmt.Fprint(here, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { io.Copy(there, here); there.Close() }()
		io.Copy(here, there)
	}))
	t.Cleanup(p.Close)
	w.env["AWS_CA_BUNDLE"] = w.write("proxy-ca.pem", pemText("CERTIFICATE", ca.cert.Raw))
	w.env["AWS_ENDPOINT_URL"] = "https://" + stsName
	return p
}

func (p *proxy) got() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// TestProxy: roles are assumed through the proxy of the environment, or not where
// that says so, and what it is about it is said without the proxy's password.
func TestProxy(t *testing.T) {
	t.Parallel()
	const password = "pr0xyPassw0rd"
	gone := httptest.NewServer(nil)
	gone.Close()
	tests := []struct {
		name     string
		env      string // PROXY is its address, with a password
		refusing bool
		asked    string // of the proxy; "" is nothing
		stderr   []string
	}{
		{"HTTPS_PROXY", "HTTPS_PROXY=PROXY", false, "CONNECT sts.invalid:443 Basic am9iOnByMHh5UGFzc3cwcmQ=", nil},
		{"lower case", "https_proxy=PROXY", false, "CONNECT sts.invalid:443 Basic am9iOnByMHh5UGFzc3cwcmQ=", nil},
		{"not for others", "HTTP_PROXY=PROXY", false, "", []string{"cannot resolve sts.invalid"}},
		{"NO_PROXY", "HTTPS_PROXY=PROXY NO_PROXY=.invalid", false, "", []string{"cannot resolve sts.invalid"}},
		{"no_proxy of another", "HTTPS_PROXY=PROXY no_proxy=example.com", false, "CONNECT sts.invalid:443 Basic am9iOnByMHh5UGFzc3cwcmQ=", nil},
		{"refuses", "HTTPS_PROXY=PROXY", true, "CONNECT sts.invalid:443 Basic am9iOnByMHh5UGFzc3cwcmQ=", []string{"the proxy 127.0.0.1:", " answers 407 Proxy Authentication Required\n", "hint: look at HTTPS_PROXY"}},
		{"nobody there", "HTTPS_PROXY=http://job:" + password + "@" + gone.Listener.Addr().String(), false, "", []string{"proxyconnect tcp: dial tcp", "hint: look at HTTPS_PROXY"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			p := newProxy(t, w, tt.refusing)
			for _, kv := range strings.Fields(strings.ReplaceAll(tt.env, "PROXY=PROXY", "PROXY=http://job:"+password+"@"+p.Listener.Addr().String())) {
				k, v, _ := strings.Cut(strings.ReplaceAll(kv, "_proxy=PROXY", "_proxy=http://job:"+password+"@"+p.Listener.Addr().String()), "=")
				w.env[k] = v
			}
			timeout := "2m"
			if tt.asked == "" { // tried until then
				timeout = "5s"
			}
			run := w.brsExec("--role-arn", roleARN, "--start-timeout", timeout, "--", "true")
			code, said := run.exit(), run.stderr.String()
			if want := len(tt.stderr) > 0; (code == 125) != want || !want && code != 0 {
				t.Errorf("exit code %d\n%s", code, said)
			}
			for _, want := range tt.stderr {
				if !strings.Contains(said, want) {
					t.Errorf("standard error %q, want %q in it", said, want)
				}
			}
			if strings.Contains(said, password) {
				t.Errorf("the proxy's password was printed: %q", said)
			}
			asked := p.got()
			if tt.asked == "" && len(asked) > 0 || tt.asked != "" && (len(asked) == 0 || asked[0] != tt.asked) {
				t.Errorf("the proxy was asked %q, want %q", asked, tt.asked)
			}
			if calls := w.server.Calls(); len(tt.stderr) == 0 && (len(calls) != 1 || !calls[0].Accepted) {
				t.Errorf("calls %v, want one that is accepted", calls)
			}
		})
	}
}
