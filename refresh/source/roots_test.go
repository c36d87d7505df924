package source

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"brs-exec.example/brs-exec/refresh"
)

// rootsOf are authorities in a file of that text, which counts how often it was opened.
func rootsOf(text string, opened *int) *roots {
	all := x509.NewCertPool()
	all.AppendCertsFromPEM([]byte(text))
	return &roots{all: all, open: func() (io.ReadCloser, error) {
		*opened++
		return io.NopCloser(strings.NewReader(text)), nil
	}}
}

// What is accepted, and what is not, is what crypto/tls accepts by itself with the same authorities.
func TestRoots(t *testing.T) {
	t.Parallel()
	ca, other, stranger := newAuthority(t, "root", nil), newAuthority(t, "other root", nil), newAuthority(t, "stranger", nil)
	twin := newAuthority(t, "root", nil) // the same name, another key
	middle := newAuthority(t, "middle", ca)
	crossed := &authority{cert: sign(t, ca.cert, stranger.cert, ca.key.Public(), stranger.key), key: ca.key}
	expired := newAuthority(t, "expired root", nil)
	expired.cert.NotAfter = time.Now().Add(-time.Minute)
	expired.cert = sign(t, expired.cert, expired.cert, expired.key.Public(), expired.key)
	constrain := func(a, by *authority) *authority {
		a.cert.PermittedDNSDomainsCritical, a.cert.PermittedDNSDomains = true, []string{"test"}
		a.cert = sign(t, a.cert, by.cert, a.key.Public(), by.key)
		return a
	}
	narrow, narrowRoot := constrain(newAuthority(t, "narrow", ca), ca), newAuthority(t, "narrow root", nil)
	constrain(narrowRoot, narrowRoot)
	leaf := ca.issue(t, "leaf", ecKey(t), nil)
	notCA := &authority{cert: leaf.cert, key: leaf.key}
	named := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{name}, nil }
	}
	good := named("sts.test")
	text := "# comments\n\n" + pemOf(other.cert.Raw) + strings.ReplaceAll(pemOf(twin.cert.Raw), "\n", "\r\n") + pemOf(ca.cert.Raw) + pemOf(expired.cert.Raw) + pemOf(narrowRoot.cert.Raw)
	tests := []struct {
		name  string
		by    *authority
		edit  func(*x509.Certificate)
		chain []*authority
		host  string
		want  bool
	}{
		{"by a root", ca, good, nil, "sts.test", true},
		{"by its twin", twin, good, nil, "sts.test", true},
		{"by the one between", middle, good, []*authority{middle}, "sts.test", true},
		{"with its root", middle, good, []*authority{middle, ca}, "sts.test", true},
		{"with a root that another one has signed", middle, good, []*authority{middle, crossed}, "sts.test", true},
		{"upper case", ca, good, nil, "STS.test", true},
		{"wildcard", ca, named("*.test"), nil, "sts.test", true},
		{"dot in the end", ca, good, nil, "sts.test.", true},
		{"port", ca, good, nil, "sts.test:8443", true},
		{"address", ca, nil, nil, "127.0.0.1", true},
		{"address of version 6", ca, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv6loopback} }, nil, "[::1]", true},
		{"what the authority may sign for", narrow, good, []*authority{narrow}, "sts.test", true},
		{"one between that is missing", middle, good, nil, "sts.test", false},
		{"unknown root", stranger, good, nil, "sts.test", false},
		{"unknown root, which is sent", stranger, good, []*authority{stranger}, "sts.test", false},
		{"expired root", expired, good, nil, "sts.test", false},
		{"other name", ca, good, nil, "sso.test", false},
		{"a name for an address", ca, named("127.0.0.1"), nil, "127.0.0.1", false},
		{"other address", ca, nil, nil, "127.0.0.2", false},
		{"expired", ca, lives(time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)), nil, "localhost", false},
		{"not yet valid", ca, lives(time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)), nil, "localhost", false},
		{"address with a zone", ca, nil, nil, "[::1%25lo]", false},
		{"no name", ca, good, nil, ":443", false},
		{"what the authority may not sign for", narrow, named("sso.example"), []*authority{narrow}, "sso.example", false},
		{"what the root may not sign for", narrowRoot, named("sso.example"), nil, "sso.example", false},
		{"by one that is no authority", notCA, good, []*authority{notCA}, "sts.test", false},
		{"for clients", ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, nil, "localhost", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			leaf := tt.by.issue(t, "server", ecKey(t), tt.edit)
			shown := tls.Certificate{Certificate: [][]byte{leaf.cert.Raw}, PrivateKey: leaf.key}
			for _, a := range tt.chain {
				shown.Certificate = append(shown.Certificate, a.cert.Raw)
			}
			opened := 0
			r := rootsOf(text, &opened)
			toldByGo, byGo := handshake(t, shown, func(t *http.Transport) { t.TLSClientConfig.RootCAs = r.all }, tt.host)
			told, byUs := handshake(t, shown, func(t *http.Transport) { t.DialTLSContext = r.dialTLS(t) }, tt.host)
			if (byGo == nil) != tt.want || (byUs == nil) != tt.want {
				t.Fatalf("accepted: crypto/tls says %v, the roots say %v; want %v", byGo, byUs, tt.want)
			}
			if diff := cmp.Diff(toldByGo, told, cmpopts.IgnoreFields(tls.ClientHelloInfo{}, "Conn"), cmpopts.IgnoreUnexported(tls.ClientHelloInfo{})); diff != "" {
				t.Errorf("the server hears something else than of crypto/tls (-theirs +ours):\n%s", diff)
			}
			if tt.want {
				if _, err := handshake(t, shown, func(t *http.Transport) { t.DialTLSContext = r.dialTLS(t) }, tt.host); err != nil || opened != 1 {
					t.Errorf("once more: %v, with the file opened %d times; want it read once", err, opened)
				}
				return
			}
			var theirs, refused *tls.CertificateVerificationError
			if errors.As(byGo, &theirs) && (!errors.As(byUs, &refused) || len(refused.UnverifiedCertificates) != len(shown.Certificate)) {
				t.Errorf("error %#v, want that of crypto/tls", byUs)
			}
			text := func(err error) string {
				return regexp.MustCompile(`current time \S+`).ReplaceAllString(err.Error(), "now")
			}
			if diff := cmp.Diff(text(byGo), text(byUs)); diff != "" {
				t.Errorf("not the error of crypto/tls (-theirs +ours):\n%s", diff)
			}
		})
	}
}

// handshake makes a request of host, where a server shows cert. hello is what that was told first.
func handshake(t *testing.T, cert tls.Certificate, edit func(*http.Transport), host string) (hello *tls.ClientHelloInfo, err error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan *tls.ClientHelloInfo, 1)
	conf := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		heard <- hello
		return &cert, nil
	}}
	go func() {
		defer close(heard)
		conn, err := tls.NewListener(l, conf).Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		}
	}()
	tr := newReach(limits{dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, l.Addr().String())
	}}, false).transport(tlsConfig(), patient)
	tr.DialTLSContext = nil
	edit(tr)
	resp, err := (&http.Client{Transport: tr}).Get("https://" + host)
	if err == nil {
		err = resp.Body.Close()
	}
	l.Close()
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err // without the address
	}
	return <-heard, err
}

// A server that takes the connection and says nothing is late, as it is for net/http.
func TestRootsSilence(t *testing.T) {
	t.Parallel()
	opened := 0
	r := rootsOf("", &opened)
	for who, edit := range map[string]func(*http.Transport){
		"net/http":  func(tr *http.Transport) { tr.TLSClientConfig.RootCAs = r.all },
		"the roots": func(tr *http.Transport) { tr.DialTLSContext = r.dialTLS(tr) },
	} {
		synctest.Test(t, func(t *testing.T) {
			tr := newReach(limits{connect: time.Minute, dial: func(context.Context, string, string) (net.Conn, error) {
				conn, server := net.Pipe()
				go io.Copy(io.Discard, server)
				return conn, nil
			}}, false).transport(tlsConfig(), time.Minute)
			tr.DialTLSContext = nil
			edit(tr)
			began := time.Now()
			_, err := (&http.Client{Transport: tr}).Get("https://sts.test")
			var late net.Error
			if took := time.Since(began); !errors.As(err, &late) || !late.Timeout() || took != time.Minute {
				t.Errorf("%s: %v after %v, want that it is late after a minute", who, err, took)
			}
		})
	}
}

// Of a long file only what is needed is parsed, also by the clients of the SDK.
func TestRootsOfSource(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	srv := serveHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		stsAnswer(w, r.Form.Get("Action"), time.Hour)
	}))
	text, err := os.ReadFile(srv.caFile)
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	l := limits{dial: srv.dial, roots: rootsOf(string(text), &opened).open}
	src := mustNew(t, Spec{Roles: []Role{{ARN: roleA}}, limits: l})
	mustRetrieve(t, src)
	mustRetrieve(t, src)
	if opened != 1 {
		t.Errorf("the file of authorities was read %d times, want once", opened)
	}
	src = mustNew(t, Spec{Roles: []Role{{ARN: roleA}}, limits: limits{dial: srv.dial, roots: rootsOf("", new(int)).open}})
	var refused *refresh.Error
	if _, err := src.Retrieve(t.Context()); !errors.As(err, &refused) {
		t.Fatalf("of an unknown authority: %v, want a refusal", err)
	}
	want := refresh.Error{Permanent: true, Hint: "set AWS_CA_BUNDLE to the certificates of the authority that signs for this server or proxy"}
	if diff := cmp.Diff(want, *refused, cmpopts.IgnoreFields(refresh.Error{}, "Err")); diff != "" || !strings.HasSuffix(refused.Error(), ": x509: certificate signed by unknown authority") {
		t.Errorf("of an unknown authority: %v (-want +got):\n%s", refused, diff)
	}
	setenv(t, "AWS_CA_BUNDLE="+filepath.Join(t.TempDir(), "ca.pem"))
	write(t, envOf(t).get("AWS_CA_BUNDLE"), pemOf(newAuthority(t, "elsewhere", nil).cert.Raw))
	src = mustNew(t, Spec{Roles: []Role{{ARN: roleA}}, limits: l})
	if _, err := src.Retrieve(t.Context()); err == nil || opened != 1 {
		t.Errorf("with a bundle of another authority: %v, want a refusal: the system's do not count", err)
	}
}

// The system's authorities are found as Go finds them.
func TestRootsOfSystem(t *testing.T) {
	t.Parallel()
	open := newReach(limits{}, false).roots.open
	if open == nil {
		t.Skip("Go reads no file here")
	}
	file, err := open()
	if err != nil {
		t.Skip("there is no such file: ", err)
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	all := x509.NewCertPool()
	all.AppendCertsFromPEM(text)
	names := all.Subjects() //lint:ignore SA1019 it is none of the system's
	if !pool(authorities(bytes.NewReader(text), names)...).Equal(all) {
		t.Error("not all of them are found by their names")
	}
}

// What can be read once is Go's to read, which keeps all of it.
func TestRootsInPipe(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Go reads no file here")
	}
	name := filepath.Join(t.TempDir(), "ca.pem")
	write(t, name, "x")
	t.Setenv("SSL_CERT_FILE", name)
	file, err := openRoots()
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, name := range []string{fmt.Sprintf("/dev/fd/%d", r.Fd()), os.DevNull, t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		t.Setenv("SSL_CERT_FILE", name)
		if _, err := openRoots(); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

// The files are those of crypto/x509, in its order.
func TestRootFiles(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("Go reads no file here, or others")
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("no Go here: ", err)
	}
	files := func(path string) (names []string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Skip("no source of Go here: ", err)
		}
		_, list, _ := strings.Cut(string(text), "= []string{\n")
		list, _, _ = strings.Cut(list, "\n}")
		for _, m := range regexp.MustCompile(`(?m)^\s*"(.*?)"`).FindAllStringSubmatch(list, -1) {
			names = append(names, m[1])
		}
		return names
	}
	if diff := cmp.Diff(files(filepath.Join(strings.TrimSpace(string(root)), "src/crypto/x509/root_linux.go")), files("roots_linux.go")); diff != "" {
		t.Errorf("other files than Go's (-theirs +ours):\n%s", diff)
	}
}

// Of a file that cannot be read to its end Go takes nothing.
func TestAuthoritiesUnread(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, "a", nil)
	file := io.MultiReader(strings.NewReader(pemOf(a.cert.Raw)), iotest.ErrReader(errors.New("input/output error")))
	if found := authorities(file, [][]byte{a.cert.RawSubject}); found != nil {
		t.Errorf("authorities = %d, want none", len(found))
	}
}

// Whatever is in the file: nothing is an authority that is none for Go.
func FuzzAuthorities(f *testing.F) {
	a, b := newAuthority(f, "a", nil), newAuthority(f, "b", nil)
	long := newAuthority(f, strings.Repeat("long ", 200), nil)
	one := pemOf(a.cert.Raw)
	for _, text := range []string{
		"", one, one + pemOf(b.cert.Raw), "x\n" + strings.ReplaceAll(one, "\n", "\r\n"), pemOf(long.cert.Raw), one[:len(one)/2], one[:len(one)/2] + one,
		strings.Replace(one, "\n", "\nA: b\n\n", 1), strings.ReplaceAll(one, "CERTIFICATE", "TRUSTED CERTIFICATE"), " " + one,
		"-----BEGIN CERTIFICATE-----" + strings.ReplaceAll(one[28:], "\n", "") + "\n", "-----BEGIN X-----\n" + one, strings.TrimRight(one, "\n"), strings.ReplaceAll(one, "\n", "\n "),
		strings.Repeat("x", 16<<10) + one, // in the middle of a line
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all := x509.NewCertPool()
		all.AppendCertsFromPEM([]byte(text))
		names := append(all.Subjects(), a.cert.RawSubject) //lint:ignore SA1019 it is none of the system's
		for _, c := range authorities(strings.NewReader(text), names) {
			if with := all.Clone(); !func() bool { with.AddCert(c); return with.Equal(all) }() {
				t.Errorf("%s is an authority, and none for Go", c.Subject)
			}
		}
	})
}

// BenchmarkRoots is what the first connection costs beside a handshake: of the system's
// authorities, those that a server names, and all as Go reads them.
func BenchmarkRoots(b *testing.B) {
	open := newReach(limits{}, false).roots.open
	if open == nil {
		b.Skip("Go reads no file here")
	}
	file, err := open()
	if err != nil {
		b.Skip("there is no such file: ", err)
	}
	text, _ := io.ReadAll(file)
	file.Close()
	all := x509.NewCertPool()
	all.AppendCertsFromPEM(text)
	names := all.Subjects()[:1] //lint:ignore SA1019 it is none of the system's
	b.Run("named", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			file, _ := open()
			authorities(file, names)
			file.Close()
		}
	})
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			file, _ := open()
			text, _ := io.ReadAll(file)
			file.Close()
			x509.NewCertPool().AppendCertsFromPEM(text)
		}
	})
}
