//go:build unix

package integration

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// signLife is short: what counts is how many sets of credentials were used, and have expired.
const signLife = 12 * time.Second

// TestSignSurvives: a command that copies its keys when it starts makes calls across expirations,
// by each way, and not one of them is refused.
func TestSignSurvives(t *testing.T) {
	slow(t)
	t.Parallel()
	python := program(t, "python")
	curl := program(t, "curl")
	tests := []struct {
		name, way string
		command   []string
		proto     string // between the command and the service, as without brs-exec
	}{
		{"boto3", byProxy, []string{python, source("boto3", "static.py")}, "HTTP/1.1"},
		{"boto3", byEndpoint, []string{python, source("boto3", "static.py")}, "HTTP/1.1"},
		{"curl by HTTP/2", byProxy, []string{"bash", source("curl", "static.sh"), curl}, "HTTP/2.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name+" "+tt.way, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, signLife)
			p := c.brsExec(append([]string{"--role-arn", roleARN, "--deliver", "sign", "--sign-via", tt.way, "--"}, tt.command...)...)
			eventually(t, patience, "calls past four expirations", func() bool {
				used, ended := c.usedSets()
				return len(used) >= 5 && ended >= 4 && len(p.stdout.lines()) >= 20 || p.ended()
			})
			if p.ended() {
				t.Fatalf("ended early with %d\n%s%s", p.exit(), p.stdout.String(), p.stderr.String())
			}
			p.stdin.Close()
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			checkOutlived(t, c.world, p)
			printed := map[string]bool{}
			for _, line := range p.stdout.lines() {
				printed[line] = true
			}
			if len(printed) != 1 {
				t.Errorf("the command says %v, want one key id", printed)
			}
			for _, call := range c.sent() {
				if printed["ok "+call.KeyID] {
					t.Errorf("a call came with the local keys: %s", call)
				}
				if call.Proto != tt.proto {
					t.Errorf("%s to the service, want %s", call.Proto, tt.proto)
				}
			}
			if starts := strings.Count(p.stderr.String(), "restart"); starts > 0 {
				t.Errorf("something was restarted:\n%s", p.stderr.String())
			}
		})
	}
}

// TestSignNames: keys of objects that need care, through boto3 by each way, and the same requests
// as boto3 makes without brs-exec (paradigmxyz/iron-proxy#220).
func TestSignNames(t *testing.T) {
	t.Parallel()
	python := program(t, "python")
	uris := func(calls []fakeaws.Call) (all []string) {
		for _, call := range calls {
			uri, query, _ := strings.Cut(call.URI, "?")
			for _, part := range strings.Split(query, "&") {
				if !strings.HasPrefix(part, "X-Amz-") && !strings.HasPrefix(part, "uploadId=") && part != "" {
					uri += "&" + part
				}
			}
			all = append(all, call.Action+" "+call.Host+uri)
		}
		return all
	}
	bare := newCloud(t, time.Hour)
	bare.env["SSL_CERT_FILE"] = bare.env["AWS_CA_BUNDLE"]
	p := bare.start(python, source("boto3", "names.py"))
	if code := p.exit(); code != 0 {
		t.Fatalf("bare: exit code %d\n%s", code, p.stderr.String())
	}
	said := p.stdout.lines()
	if len(said) == 0 || slices.ContainsFunc(said, func(line string) bool { return !strings.HasPrefix(line, "ok ") }) {
		t.Fatalf("without brs-exec: %q", said)
	}
	for _, way := range []string{byProxy, byEndpoint} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, time.Hour)
			p := c.brsExec("--role-arn", roleARN, "--deliver", "sign", "--sign-via", way, "--", python, source("boto3", "names.py"))
			if code := p.exit(); code != 0 {
				t.Fatalf("exit code %d\n%s", code, p.stderr.String())
			}
			if diff := cmp.Diff(said, p.stdout.lines()); diff != "" {
				t.Errorf("the command says (-bare +sign):\n%s", diff)
			}
			for _, call := range c.sent() {
				if !call.Accepted {
					t.Errorf("refused: %s %s", call, call.URI)
				}
			}
			if way == byProxy {
				if diff := cmp.Diff(uris(bare.sent()), uris(c.sent())); diff != "" {
					t.Errorf("what arrived (-bare +sign):\n%s", diff)
				}
			}
		})
	}
}

// TestSignCLI: the AWS CLI's transfers of a file in parts and of standard input, and its presigned URLs.
func TestSignCLI(t *testing.T) {
	t.Parallel()
	program(t, "aws")
	curl := program(t, "curl")
	for _, way := range []string{byProxy, byEndpoint} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, time.Hour)
			c.write("config", "[default]\ns3 =\n    signature_version = s3v4\n") // its default for URLs of us-east-1 is version 2
			const size = 20 << 20                                                // parts of 8 MiB
			if err := os.WriteFile(c.path("file"), []byte(strings.Repeat("0123456789abcdef", size/16)), 0o600); err != nil {
				t.Fatal(err)
			}
			p := c.brsExec("--role-arn", roleARN, "--deliver", "sign", "--sign-via", way, "--", "sh", "-ec", `
				aws s3 cp --only-show-errors file 's3://jobs/a b+c/ü%2F 1'
				aws s3 cp --only-show-errors 's3://jobs/a b+c/ü%2F 1' copy
				cmp file copy
				echo from a pipe | aws s3 cp --only-show-errors - s3://jobs/piped
				aws s3 ls 's3://jobs/a b+c/'
				"$1" -sSf "$(aws s3 presign s3://jobs/piped)"
				aws sts get-caller-identity --output text`, "sh", curl)
			if code := p.exit(); code != 0 {
				t.Fatalf("exit code %d\n%s%s", code, p.stdout.String(), p.stderr.String())
			}
			if out := p.stdout.String(); !strings.Contains(out, "from a pipe") || !strings.Contains(out, "ü%2F 1") {
				t.Errorf("the commands printed %q", out)
			}
			parts := 0
			for _, call := range c.sent() {
				if !call.Accepted {
					t.Errorf("refused: %s %s", call, call.URI)
				}
				if call.Action == "UploadPart" {
					parts++
				}
			}
			if parts != 3 {
				t.Errorf("%d parts, want 3", parts)
			}
			if object, _ := c.server.Object("/jobs/a b+c/ü%2F 1"); len(object) != size {
				t.Errorf("%d bytes are stored, want %d", len(object), size)
			}
		})
	}
}

// TestSignAssumed: a role that the command assumes itself works by either way.
func TestSignAssumed(t *testing.T) {
	t.Parallel()
	python := program(t, "python")
	for _, way := range []string{byProxy, byEndpoint} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, time.Hour)
			p := c.brsExec("--role-arn", roleARN, "--deliver", "sign", "--sign-via", way, "--", python, source("boto3", "assumed.py"))
			if code := p.exit(); code != 0 {
				t.Fatalf("exit code %d\n%s", code, p.stderr.String())
			}
			lines := p.stdout.lines()
			if len(lines) != 3 || !strings.HasPrefix(lines[0], "ok ASIA") || lines[0] != lines[1] || lines[1] != lines[2] {
				t.Fatalf("the command says %q", lines)
			}
			own := strings.TrimPrefix(lines[0], "ok ")
			calls := c.sent()
			if len(calls) != 4 || calls[0].Action != "AssumeRole" || calls[0].KeyID == own {
				t.Fatalf("arrived: %v", calls)
			}
			for _, call := range calls[1:] {
				if call.KeyID != own || !call.Accepted {
					t.Errorf("%s, want the role's own %s", call, own)
				}
			}
		})
	}
}

// TestSignNoRealKey: whatever the command looks at, there is no key that works without brs-exec.
// The same command finds some in the ordinary deliveries.
func TestSignNoRealKey(t *testing.T) {
	t.Parallel()
	python := program(t, "python")
	for _, deliver := range [][]string{{"sign"}, {"sign", "--sign-via", byProxy}, {"sign", "--sign-via", byEndpoint}, {"auto"}} {
		t.Run(strings.Join(deliver, " "), func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, time.Hour)
			c.reveals = true // checked here
			p := c.brsExec(append(append([]string{"--role-arn", roleARN, "--events", c.path("events"), "--log-level", "debug", "--deliver"}, deliver...),
				"--", python, source("boto3", "dump.py"), brsExec(t), c.run, c.path("home"), c.path("tmp"), c.path("events"), "/dev/shm/brs-exec-"+fmt.Sprint(os.Getuid()))...)
			if code := p.exitWithin(2 * patience); code != 0 {
				t.Fatalf("exit code %d\n%s", code, p.stderr.String())
			}
			said := p.stdout.String()
			if s := leaked(p.stderr.String(), c.server.Secrets()); s != "" {
				t.Errorf("the log has %.4s…:\n%s", s, p.stderr.String())
			}
			if !strings.Contains(said, "calls made\n") || strings.Count(said, "'HTTPStatusCode': 200") < 3 {
				t.Fatalf("the command did not do what it should:\n%s", said)
			}
			found := leaked(said, c.server.Secrets())
			if found == "" {
				var ids []string
				for _, call := range c.server.Calls() {
					ids = append(ids, call.KeyID)
				}
				// An ID alone is no secret: status and events name it, so that it can be looked up at AWS.
				sections := slices.DeleteFunc(strings.Split(said, "\n== "), func(section string) bool {
					name, _, _ := strings.Cut(section, "\n")
					return name == c.path("events") || strings.HasPrefix(name, brsExec(t)+" status")
				})
				found = leaked(strings.Join(sections, "\n"), ids)
			}
			if deliver[0] == "sign" && found != "" {
				i := strings.Index(said, found)
				t.Errorf("the command sees %.8s…: %q", found, said[max(0, i-200):i+4])
			}
			if deliver[0] != "sign" && found == "" {
				t.Error("no keys are found where there are some: this test cannot fail")
			}
			if len(c.sent()) < 5 {
				t.Errorf("%d calls arrived", len(c.sent()))
			}
		})
	}
}

// TestSignTunnels: a host that is not AWS's is reached as without brs-exec: its own certificate, the
// bytes as they are, through the user's proxy or, where that is not for it, directly.
func TestSignTunnels(t *testing.T) {
	t.Parallel()
	c := newCloud(t, time.Hour)
	s := c.sign()
	defer s.end()
	certificate, err := c.authority.Certificate("pypi.example.org")
	if err != nil {
		t.Fatal(err)
	}
	other := c.newRawServer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother")
	for _, host := range []string{
		"pypi.example.org:443", "amazonaws.com.example.org:443", "notamazonaws.com:443", "s3.us-east-1.amazonaws.com:8443", "console.aws.amazon.com:443",
		"1234567890ABCDEF1234567890ABCDEF.gr7.us-east-1.eks.amazonaws.com:443", "my-lb-1234567890.us-east-1.elb.amazonaws.com:443", "ec2-1-2-3-4.compute-1.amazonaws.com:443",
		"a1b2c3-ats.iot.us-east-1.amazonaws.com:443", "db.abc.us-east-1.rds.amazonaws.com:443",
	} {
		c.proxy.route(host, other.Addr().String())
		conn := s.dial(host)
		conn.SetDeadline(time.Now().Add(patience))
		state := conn.ConnectionState()
		name, _, _ := net.SplitHostPort(host)
		mine, err := c.authority.Certificate(strings.ToLower(name))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(state.PeerCertificates[0].AuthorityKeyId, mine.Leaf.AuthorityKeyId) || state.PeerCertificates[0].Issuer.String() != certificate.Leaf.Issuer.String() {
			t.Errorf("%s shows a certificate of %s", host, state.PeerCertificates[0].Issuer)
		}
		sent := "GET /a//b/../c HTTP/1.1\r\nhost: " + host + "\r\nX-b: 1\r\nx-A:2\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + s.keys.AccessKeyID + "/20260101/us-east-1/s3/aws4_request\r\n\r\n"
		io.WriteString(conn, sent)
		buffer := make([]byte, 100)
		n, err := io.ReadAtLeast(conn, buffer, len(other.answer))
		if err != nil || string(buffer[:n]) != other.answer {
			t.Errorf("%s answers %q: %v", host, buffer[:n], err)
		}
		if got := other.take(t); got != sent {
			t.Errorf("%s got %q, want %q", host, got, sent)
		}
		conn.Close()
		if hosts := c.proxy.hosts(); !slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
			t.Errorf("the user's proxy was not asked for %s: %q", host, hosts)
		}
	}

	// Loopback is for no proxy: it is reached directly.
	before := len(c.proxy.hosts())
	plain := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "direct") }))
	defer plain.Close()
	conn, err := s.tunnel(plain.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	direct := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	if err := direct.Handshake(); err != nil || !direct.ConnectionState().PeerCertificates[0].Equal(plain.Certificate()) {
		t.Errorf("the certificate is not the server's own: %v", err)
	}
	if hosts := c.proxy.hosts()[before:]; len(hosts) > 0 {
		t.Errorf("the user's proxy was asked for %q", hosts)
	}
	// Half of a tunnel may end before the other.
	echo, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		conn, err := echo.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		all, _ := io.ReadAll(conn)
		fmt.Fprintf(conn, "got %d bytes", len(all))
	}()
	half, err := s.tunnel(echo.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(half, strings.Repeat("x", 100000))
	half.(*net.TCPConn).CloseWrite()
	if all, err := io.ReadAll(half); string(all) != "got 100000 bytes" {
		t.Errorf("behind the end of what was sent: %q, %v", all, err)
	}
}

// TestSignUpstreamRefuses: a proxy of the user's that refuses is an answer in AWS's shape at once,
// and a line that says so without its password.
func TestSignUpstreamRefuses(t *testing.T) {
	t.Parallel()
	c := newCloud(t, time.Hour)
	c.env["AWS_ENDPOINT_URL_STS"] = c.server.URL() // the source has another way
	c.env["HTTPS_PROXY"] = "http://job:wr0ng-" + upstreamPassword + "@" + c.proxy.Listener.Addr().String()
	s := c.sign()
	defer s.end()
	for _, way := range []string{byProxy, byEndpoint} {
		r := request(t, http.MethodGet, s.base(way, "s3.us-east-1.amazonaws.com")+"/jobs/a", "")
		signWith(t, r, s.keys, "s3", "us-east-1", "", "", time.Now())
		status, header, body := s.do(s.client(true), r)
		if status < 500 || !strings.Contains(body, "<Code>") || !strings.Contains(header.Get("Content-Type"), "xml") {
			t.Errorf("%s: %d %s", way, status, body)
		}
	}
	if said := s.stderr.String(); !strings.Contains(said, "Proxy Authentication Required") || strings.Contains(said, "wr0ng") {
		t.Errorf("standard error:\n%s", said)
	}
}

// TestSignBadTLS: a service whose certificate nobody vouches for, one that speaks no TLS, and clients that
// confuse the two ways get an answer, never a hang.
func TestSignBadTLS(t *testing.T) {
	t.Parallel()
	c := newCloud(t, time.Hour)
	s := c.sign()
	defer s.end()
	strange := httptest.NewTLSServer(http.NotFoundHandler())
	defer strange.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, address := range map[string]string{"strange": strange.Listener.Addr().String(), "plain": plain.Listener.Addr().String(), "gone": gone.Listener.Addr().String()} {
		host := name + ".s3.us-east-1.amazonaws.com"
		c.proxy.route(host+":443", address)
		r := request(t, http.MethodGet, "https://"+host+"/a", "")
		signWith(t, r, s.keys, "s3", "us-east-1", "", "", time.Now())
		status, _, body := s.do(s.client(true), r)
		if status < 500 || !strings.Contains(body, "<Code>") {
			t.Errorf("%s: %d %s", name, status, body)
		}
		eventually(t, patience, "a line on "+host, func() bool { return strings.Contains(s.stderr.String(), host) })
	}
	// Plain HTTP where TLS is due, and the other way round.
	conn, err := s.tunnel("s3.us-east-1.amazonaws.com:443")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: s3.us-east-1.amazonaws.com\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP in a tunnel: %v, %v", answer, err)
	}
	raw, err := net.Dial("tcp", s.proxyURL().Host)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(patience))
	if err := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("TLS at the plain port: %v", err)
	}
}

// TestSignTwoRuns: each run signs for its own keys alone.
func TestSignTwoRuns(t *testing.T) {
	t.Parallel()
	c := newCloud(t, time.Hour)
	first, second := c.sign(), c.sign()
	defer first.end()
	defer second.end()
	if first.keys == second.keys {
		t.Fatal("both have the same local keys")
	}
	for _, way := range []string{byProxy, byEndpoint} {
		for _, keys := range []*signer{first, second} {
			before := len(c.sent())
			r := request(t, http.MethodGet, first.base(way, "s3.us-east-1.amazonaws.com")+"/", "")
			signWith(t, r, keys.keys, "s3", "us-east-1", "", "", time.Now())
			status, _, body := first.do(first.client(true), r)
			sent := c.sent()[before:]
			switch {
			case keys == first && (status != 200 || len(sent) != 1 || !sent[0].Accepted):
				t.Errorf("%s, its own keys: %d %s, %v", way, status, body, sent)
			case keys == second && way == byEndpoint && (status != 403 || len(sent) != 0):
				t.Errorf("%s, the other's keys: %d %s, %v", way, status, body, sent)
			case keys == second && way == byProxy && (status != 403 || len(sent) != 1 || sent[0].KeyID != second.keys.AccessKeyID):
				t.Errorf("%s, the other's keys: %d %s, %v", way, status, body, sent)
			}
		}
	}
}

// TestSignNested: a brs-exec in the command uses the local keys of the outer one as any client does.
func TestSignNested(t *testing.T) {
	t.Parallel()
	python := program(t, "python")
	for _, outer := range []string{byProxy, byEndpoint, "both"} {
		t.Run(outer, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, time.Hour)
			p := c.brsExec("--role-arn", roleARN, "--deliver", "sign", "--sign-via", outer, "--",
				brsExec(t), "--role-arn", "arn:aws:iam::123456789012:role/Inner", "--deliver", "sign", "--", python, source("boto3", "client.py"), "6")
			if code := p.exit(); code != 0 {
				t.Fatalf("exit code %d\n%s%s", code, p.stdout.String(), p.stderr.String())
			}
			for _, line := range p.stdout.lines() {
				if !strings.HasPrefix(line, "ok ") {
					t.Errorf("the command says %q", line)
				}
			}
			roles := 0
			for _, call := range c.server.Calls() {
				if !call.Accepted {
					t.Errorf("refused: %s", call)
				}
				if call.Action == "AssumeRole" {
					roles++
				}
			}
			if roles != 2 || len(c.server.Calls()) < 8 {
				t.Errorf("%d roles assumed, %d calls", roles, len(c.server.Calls()))
			}
		})
	}
}

// TestSignOtherUser: a process of another user gets nothing through, whatever it asks for.
func TestSignOtherUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	curl := program(t, "curl")
	c := newCloud(t, time.Hour)
	s := c.sign()
	defer s.end()
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "tunnelled") }))
	defer plain.Close()
	signed := func(url string) (args []string) {
		r := request(t, http.MethodGet, url, "")
		signWith(t, r, s.keys, "s3", "us-east-1", "", "", time.Now())
		for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256"} {
			args = append(args, "-H", name+": "+r.Header.Get(name))
		}
		return append(args, url)
	}
	proxy := []string{"-x", s.proxyURL().String(), "-k"}
	tests := []struct {
		name  string
		args  []string
		plain bool // by a proxy of HTTPS_PROXY alone
	}{
		{"an AWS host", append(proxy, signed("https://s3.us-east-1.amazonaws.com/")...), false},
		{"another host", append(proxy, "-p", plain.URL), false},
		{"a plain host", append(proxy, plain.URL), true},
		{"the endpoint", signed(s.base(byEndpoint, "") + "/"), false},
	}
	for _, tt := range tests {
		for _, uid := range []uint32{0, 54324} {
			cmd := exec.Command(curl, append([]string{"-sS", "-m", "60", "-w", "\n%{http_code} %{http_connect}\n"}, tt.args...)...)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
			out, _ := cmd.CombinedOutput()
			through := strings.Contains(string(out), "tunnelled") || strings.Contains(string(out), "ListAllMyBucketsResult")
			if uid != 0 && (through || strings.Contains(string(out), "200")) || uid == 0 && !through && !tt.plain {
				t.Errorf("%s asked by user %d: %s", tt.name, uid, out)
			}
		}
	}
	if sent := c.sent(); len(sent) != 2 {
		t.Errorf("%d calls arrived, want the two of the same user: %v", len(sent), sent)
	}
}
