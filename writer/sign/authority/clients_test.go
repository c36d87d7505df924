package authority

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// impostor is a proxy that ends the TLS of every host, with a certificate that the authority has no
// right to issue where the host is none of its domains, and answers every request with "reached HOST".
func impostor(t *testing.T, a *Authority) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	serve := func(conn net.Conn) {
		defer conn.Close()
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil || r.Method != http.MethodConnect {
			io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
			return
		}
		host, _, _ := net.SplitHostPort(r.Host)
		leaf, err := a.issue(canonical(host), time.Now())
		if err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		c := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*leaf}})
		defer c.Close()
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			body := "reached " + host
			(&http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Close: true, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}).Write(c)
		}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return l.Addr().String()
}

// command returns the environment that a command has behind the proxy, whose own is the user's.
func command(t *testing.T, a *Authority, address string, user ...string) []string {
	t.Helper()
	dir := t.TempDir()
	environ := append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, user...)
	bundles, _, err := Bundles(environ, "", a.PEM())
	if err != nil {
		t.Fatal(err)
	}
	proxies, err := NewProxies(environ)
	if err != nil {
		t.Fatal(err)
	}
	environ = append(environ, proxies.Env(address, domains, false)...)
	for _, b := range bundles {
		path := filepath.Join(dir, b.File)
		if err := os.WriteFile(path, b.Content, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range b.Variables {
			environ = append(environ, name+"="+path)
		}
	}
	return environ
}

// venv is the Python that .ci/install-clients installs, with boto3.
func venv() string {
	dir := os.Getenv("BRS_EXEC_CLIENTS")
	if dir == "" {
		home, _ := os.UserHomeDir()
		dir = filepath.Join(home, ".cache", "brs-exec-clients")
	}
	return filepath.Join(dir, "venv", "bin", "python")
}

const (
	python = `import ssl, sys, urllib.request
context = ssl.create_default_context()
context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN  # the default of 3.13
print(urllib.request.urlopen(sys.argv[1], context=context).read().decode())`

	// The answer is not XML, which the error quotes.
	botocore = `import sys
from botocore.config import Config
from botocore.session import get_session
session = get_session()
session.set_credentials("AKID", "SECRET")
client = session.create_client("sts", region_name="eu-west-1", endpoint_url=sys.argv[1], config=Config(retries={"total_max_attempts": 1}))
client.get_caller_identity()`

	// Node.js before 22.21 knows no proxy.
	node = `const http = require("http"), tls = require("tls");
const host = new URL(process.argv[1]).hostname, proxy = new URL(process.env.https_proxy);
http.request({host: proxy.hostname, port: proxy.port, method: "CONNECT", path: host + ":443"}).on("connect", (_, socket) => {
  const c = tls.connect({socket, host, servername: /^[0-9.]+$/.test(host) ? undefined : host}, () => c.write("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"));
  c.pipe(process.stdout);
  c.on("error", e => { console.error(e); process.exit(1); });
}).end();`

	perl = `my $u = LWP::UserAgent->new; $u->env_proxy; print $u->get($ARGV[0])->content`
	ruby = `puts URI.open(ARGV[0]).read`
)

// TestClients has programs reach a host of AWS by nothing but the variables, and holds that they refuse
// what the same authority says of other hosts. Clients that CI does not
// install may miss.
func TestClients(t *testing.T) {
	a := newAuthority(t, domains...)
	address := impostor(t, a)
	environ := command(t, a, address)
	clients := []struct {
		name      string
		argv      []string // and the URL
		installed bool     // by .ci/install-clients
	}{
		{"curl", []string{"curl", "-sS"}, true},
		{"python", []string{"python3", "-c", python}, true},
		{"botocore", []string{venv(), "-c", botocore}, true},
		{"node", []string{"node", "-e", node}, false},
		{"perl, LWP", []string{"perl", "-MLWP::UserAgent", "-MLWP::Protocol::https", "-e", perl}, false},
		{"ruby", []string{"ruby", "-ropen-uri", "-e", ruby}, false},
		{"openssl, strict", []string{"sh", "-c", `host=${1#https://}
case $host in *[a-z]*) is=-verify_hostname;; *) is=-verify_ip;; esac
echo Q | openssl s_client -proxy "${https_proxy#http://}" -connect "$host:443" -x509_strict -verify_return_error $is "$host" 2>&1 && echo "reached $host"`, "sh"}, true},
	}
	hosts := []struct {
		host    string
		refused bool
	}{
		{"sts.eu-west-1.amazonaws.com", false},
		{"example.com", true},
		{"192.0.2.1", true},
	}
	for _, c := range clients {
		path, err := exec.LookPath(c.argv[0])
		if err == nil && c.name == "perl, LWP" {
			err = exec.Command(path, "-MLWP::Protocol::https", "-e", "1").Run()
		}
		switch {
		case err != nil && c.installed && os.Getenv("BRS_EXEC_REQUIRE_CLIENTS") == "1":
			t.Errorf("%s: %v", c.name, err)
			continue
		case err != nil:
			t.Logf("SKIPPED %s: %v", c.name, err)
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, h := range hosts {
				cmd := exec.CommandContext(t.Context(), path, append(slices.Clip(c.argv[1:]), "https://"+h.host)...)
				cmd.Env = environ
				out, err := cmd.CombinedOutput()
				reached := strings.Contains(string(out), "reached "+h.host)
				if reached == h.refused {
					t.Errorf("%s: %v\n%s", h.host, err, out)
				}
			}
		})
	}
}
