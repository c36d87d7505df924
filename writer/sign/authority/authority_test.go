package authority

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// domains are what the tests' authorities vouch for.
var domains = []string{"amazonaws.com", "api.aws", "minio.example"}

func newAuthority(t *testing.T, domains ...string) *Authority {
	t.Helper()
	a, err := New(domains, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func pool(a *Authority) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func TestCertificate(t *testing.T) {
	tests := []struct {
		name    string
		domains []string
		host    string
		verify  string // the name that a client verifies, host if empty
		err     bool
	}{
		{name: "a service", domains: domains, host: "sts.eu-west-1.amazonaws.com"},
		{name: "the domain itself", domains: domains, host: "amazonaws.com"},
		{name: "a bucket", domains: domains, host: "my.bucket.with_dots.s3.eu-west-1.amazonaws.com"},
		{name: "a long bucket", domains: domains, host: strings.Repeat("b", 63) + ".s3.dualstack.ap-southeast-2.amazonaws.com"},
		{name: "capitals and a dot", domains: domains, host: "STS.amazonaws.com.", verify: "sts.amazonaws.com"},
		{name: "a domain in capitals", domains: []string{"MinIO.Example."}, host: "minio.example"},
		{name: "an address", domains: []string{"amazonaws.com", "127.0.0.1"}, host: "127.0.0.1"},
		{name: "an IPv6 address", domains: []string{"amazonaws.com", "[::1]"}, host: "[::1]"},
		{name: "another host", domains: domains, host: "example.com", err: true},
		{name: "one that ends in the domain", domains: domains, host: "evilamazonaws.com", err: true},
		{name: "an address that was not named", domains: domains, host: "127.0.0.1", err: true},
		{name: "another address", domains: []string{"amazonaws.com", "127.0.0.1"}, host: "127.0.0.2", err: true},
		{name: "a wildcard", domains: domains, host: "*.amazonaws.com", err: true},
		{name: "an empty label", domains: domains, host: "a..amazonaws.com", err: true},
		{name: "no ASCII", domains: domains, host: "bücket.amazonaws.com", err: true},
		{name: "a zero", domains: domains, host: "example.com\x00.amazonaws.com", err: true},
		{name: "too long", domains: domains, host: strings.Repeat("abcdefghi.", 30) + "amazonaws.com", err: true},
		{name: "nothing", domains: domains, host: "", err: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAuthority(t, tt.domains...)
			leaf, err := a.certificate(tt.host)
			if tt.err {
				if err == nil {
					t.Fatal("a certificate was made")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			name := tt.verify
			if name == "" {
				name = tt.host
			}
			if _, err := leaf.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: pool(a)}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestConstraints holds that a client refuses what such an authority says of other hosts, even
// if somebody had its key.
func TestConstraints(t *testing.T) {
	withIP := append([]string{"127.0.0.1"}, domains...)
	tests := []struct {
		domains []string
		host    string
		refused bool
	}{
		{domains, "s3.amazonaws.com", false},
		{domains, "example.com", true},
		{domains, "amazonaws.com.example.com", true},
		{domains, "127.0.0.1", true},
		{domains, "::1", true},
		{withIP, "127.0.0.1", false},
		{withIP, "127.0.0.2", true},
		{withIP, "::1", true},
		{withIP, "example.com", true},
	}
	for _, tt := range tests {
		a := newAuthority(t, tt.domains...)
		leaf, err := a.issue(tt.host, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		_, err = leaf.Leaf.Verify(x509.VerifyOptions{DNSName: tt.host, Roots: pool(a)})
		if (err != nil) != tt.refused {
			t.Errorf("%s, by an authority of %v: %v, want an error: %v", tt.host, tt.domains, err, tt.refused)
		}
	}
}

func TestNewErrors(t *testing.T) {
	for _, domains := range [][]string{nil, {"127.0.0.1"}, {""}, {"*.amazonaws.com"}, {"a b"}, {"https://x.example"}, {"x.example:443"}} {
		if _, err := New(domains, time.Now()); err == nil {
			t.Errorf("an authority was made for %q", domains)
		}
	}
}

// TestRenewal is a run of two years.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t, domains...)
		made := map[*tls.Certificate]bool{}
		for range 2 * 365 * 4 {
			leaf, err := a.certificate("sts.amazonaws.com")
			if err != nil {
				t.Fatal(err)
			}
			made[leaf] = true
			for _, at := range []time.Time{time.Now().Add(-24 * time.Hour), time.Now().Add(7 * 24 * time.Hour)} {
				if _, err := leaf.Leaf.Verify(x509.VerifyOptions{DNSName: "sts.amazonaws.com", Roots: pool(a), CurrentTime: at}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(6 * time.Hour)
		}
		if n := len(made); n < 24 || n > 100 {
			t.Errorf("%d certificates were made in two years", n)
		}
	})
}

// TestBounded holds that hosts without number take no memory without bound.
func TestBounded(t *testing.T) {
	a := newAuthority(t, domains...)
	for i := range 3 * maxHosts {
		a.Config(strings.Repeat("x", i%60) + "." + strings.Repeat("y", i/60) + "z.s3.amazonaws.com")
		if len(a.hosts) > maxHosts {
			t.Fatalf("%d hosts are kept", len(a.hosts))
		}
	}
}

// TestConfig shakes hands as clients do: sessions are resumed, the protocol is negotiated, and no
// name of a server is needed.
func TestConfig(t *testing.T) {
	a := newAuthority(t, domains...)
	const name = "s3.amazonaws.com"
	sessions := tls.NewLRUClientSessionCache(1)
	tests := []struct {
		host    string
		client  *tls.Config
		proto   string
		resumed bool
		err     bool
	}{
		{name, &tls.Config{ServerName: name, ClientSessionCache: sessions}, "", false, false},
		{name, &tls.Config{ServerName: name, ClientSessionCache: sessions}, "", true, false},
		{name, &tls.Config{ServerName: name, NextProtos: []string{"http/1.1", "h2"}}, "h2", false, false},
		{name, &tls.Config{ServerName: name, NextProtos: []string{"http/1.1"}}, "http/1.1", false, false},
		{name, &tls.Config{ServerName: name, MaxVersion: tls.VersionTLS12}, "", false, false},
		{"S3.amazonaws.com.", &tls.Config{ServerName: name}, "", false, false},
		{name, &tls.Config{ServerName: "sts.amazonaws.com"}, "", false, true},
		{"example.com", &tls.Config{ServerName: "example.com"}, "", false, true},
		{name, &tls.Config{ServerName: name, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS11}, "", false, true},
	}
	for _, tt := range tests {
		tt.client.RootCAs = pool(a)
		state, err := handshake(t, a.Config(tt.host), tt.client)
		if (err != nil) != tt.err {
			t.Errorf("%s: %v", tt.host, err)
			continue
		}
		if err == nil && (state.NegotiatedProtocol != tt.proto || state.DidResume != tt.resumed) {
			t.Errorf("%s: protocol %q, resumed %v, want %q, %v", tt.host, state.NegotiatedProtocol, state.DidResume, tt.proto, tt.resumed)
		}
	}
}

// handshake has a client and a server talk, and say a byte so that tickets arrive.
func handshake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		s := tls.Server(conn, server)
		s.Write([]byte("x"))    // with the handshake, whose error the client sees as well
		s.Read(make([]byte, 1)) // until the client is gone
		s.Close()
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(conn, client)
	_, err = c.Read(make([]byte, 1))
	state := c.ConnectionState()
	c.Close()
	l.Close()
	<-done
	return state, err
}

// TestForms holds what strict verifiers ask of the certificates: OpenSSL's X509_V_FLAG_X509_STRICT,
// which Python 3.13 sets.
func TestForms(t *testing.T) {
	a := newAuthority(t, domains...)
	leaf, err := a.certificate("s3.amazonaws.com")
	if err != nil {
		t.Fatal(err)
	}
	critical := func(c *x509.Certificate) map[string]bool {
		m := map[string]bool{}
		for _, e := range c.Extensions {
			m[e.Id.String()] = e.Critical
		}
		return m
	}
	const keyUsage, altName, basic, constraints, extUsage, subjectKey, authorityKey = "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.37", "2.5.29.14", "2.5.29.35"
	want := map[string]bool{keyUsage: true, basic: true, constraints: true, extUsage: false, subjectKey: false}
	if diff := cmp.Diff(want, critical(a.cert)); diff != "" {
		t.Errorf("extensions of the authority, and which are critical (-want +got):\n%s", diff)
	}
	want = map[string]bool{keyUsage: true, basic: true, extUsage: false, altName: false, authorityKey: false}
	if diff := cmp.Diff(want, critical(leaf.Leaf)); diff != "" {
		t.Errorf("extensions of a server, and which are critical (-want +got):\n%s", diff)
	}
	if life := leaf.Leaf.NotAfter.Sub(leaf.Leaf.NotBefore); life > 398*24*time.Hour {
		t.Errorf("a server's certificate is valid for %v", life)
	}
	if leaf.Leaf.NotBefore.Before(a.cert.NotBefore) {
		t.Error("a server's certificate is older than the authority's")
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := New(domains, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIssue(b *testing.B) {
	a, err := New(domains, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := a.issue("s3.amazonaws.com", time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}
