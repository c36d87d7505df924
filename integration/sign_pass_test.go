//go:build unix

package integration

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"
)

// rawServer answers each request with the same bytes, and keeps what it got byte for byte.
type rawServer struct {
	net.Listener
	answer string

	mu  sync.Mutex
	got []string
}

// newRawServer has a certificate of the cloud's for whatever name is asked for.
func (c *cloud) newRawServer(answer string) *rawServer {
	c.t.Helper()
	l, err := tls.Listen("tcp4", "127.0.0.1:0", c.authority.Config())
	if err != nil {
		c.t.Fatal(err)
	}
	s := &rawServer{Listener: l, answer: answer}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.serve(conn) })
		}
	})
	c.t.Cleanup(func() { l.Close(); c.proxy.CloseClientConnections(); serving.Wait() })
	return s
}

func (s *rawServer) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		text, err := readRawRequest(r)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.got = append(s.got, text)
		s.mu.Unlock()
		io.WriteString(conn, s.answer)
	}
}

// readRawRequest returns head and body as they came.
func readRawRequest(r *bufio.Reader) (string, error) {
	var text strings.Builder
	length, chunked := 0, false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		text.WriteString(line)
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(line)), ":")
		switch name {
		case "content-length":
			fmt.Sscanf(value, "%d", &length)
		case "transfer-encoding":
			chunked = true
		case "":
			if !chunked {
				_, err := io.CopyN(&text, r, int64(length))
				return text.String(), err
			}
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return "", err
				}
				text.WriteString(line)
				size := 0
				fmt.Sscanf(line, "%x", &size)
				if size == 0 { // trailers, too
					for line != "\r\n" {
						if line, err = r.ReadString('\n'); err != nil {
							return "", err
						}
						text.WriteString(line)
					}
					return text.String(), nil
				}
				if _, err := io.CopyN(&text, r, int64(size)+2); err != nil {
					return "", err
				}
			}
		}
	}
}

func (s *rawServer) take(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) != 1 {
		t.Fatalf("%d requests came, want one: %q", len(s.got), s.got)
	}
	defer func() { s.got = nil }()
	return s.got[0]
}

// parts takes a message apart: its first line, the header as lines that are sorted (names have no
// case, and their order means nothing), and what is behind.
func parts(t *testing.T, message string) (first string, header []string, body string) {
	t.Helper()
	head, body, ok := strings.Cut(message, "\r\n\r\n")
	if !ok {
		t.Fatalf("no message: %q", message)
	}
	lines := strings.Split(head, "\r\n")
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		header = append(header, textproto.CanonicalMIMEHeaderKey(name)+": "+strings.TrimSpace(value))
	}
	slices.SortStableFunc(header, func(a, b string) int { // values of one name stay in their order
		x, _, _ := strings.Cut(a, ":")
		y, _, _ := strings.Cut(b, ":")
		return strings.Compare(x, y)
	})
	return lines[0], header, body
}

// rawTargets are paths and queries that proxies have been known to change.
var rawTargets = []string{
	"/", "//", "//a", "/a//b", "/a//", "/a/../b", "/a/./b", "/./", "/../", "/.", "/..", "/%2E%2E/a", "/%2F", "/a%2Fb", "/a%2fb", "/a%20b", "/a+b", "/a%2Bb",
	"/%C3%BC", "/%c3%bc", "/\u00fc", "/a%00b", "/a;b=1,c", "/~a", "/%7Ea", "/*", "/a:b@c", "/a'b(c)!", "/a%25b", "/a%2520b", "/a=b&c", "/$folder$", "/a|b", `/a"b`, "/[a]{b}",
	"/?", "/?a", "/?a=", "/?a=%2B&a=", "/?a=+&b=%20", "/?b=2&a=1&b=1", "/?a;b=c", "/?%C3%BC=\u00fc", "/?a=b=c", "/?a=/?&", "/?&&a", "/a?uploads", "/a?list-type=2&prefix=a%2Fb",
}

// TestSignPassesOthers: requests with keys that are not brs-exec's, with none, and with
// signatures of other kinds arrive as they were sent, byte for byte, and so do the answers.
// Teleport's proxy takes presigned URLs of others for a malformed header (gravitational/teleport#38575).
func TestSignPassesOthers(t *testing.T) {
	t.Parallel()
	c := newCloud(t, time.Hour)
	s := c.sign()
	defer s.end()
	const answer = "HTTP/1.1 206 Partial Content\r\nContent-Length: 9\r\nX-Amz-Meta-Odd:  two  spaces\r\nETag: \"x\"\r\nx-amz-id-2: 1\r\nx-amz-id-2: 2\r\nServer: AmazonS3\r\nContent-Encoding: gzip\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n\x1f\x8b not gz"
	server := c.newRawServer(answer)
	const host = "odd.s3.us-east-1.amazonaws.com"
	c.proxy.route(host+":443", server.Addr().String())
	conn := s.dial(host + ":443")
	conn.SetDeadline(time.Now().Add(patience))
	reader := bufio.NewReader(conn)
	const foreign = "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=" +
		"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\r\nX-Amz-Date: 20260101T000000Z\r\n"
	presigned := "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIAIOSFODNN7EXAMPLE%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z&" +
		"X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Security-Token=a%2Bb%2F%3D&response-content-disposition=attachment%3B+filename%3Da&X-Amz-Signature=" + strings.Repeat("0f", 32)
	type test struct{ name, request string }
	tests := []test{
		{"unsigned", "GET /a HTTP/1.1\r\n\r\n"},
		{"keys of others", "GET /a HTTP/1.1\r\n" + foreign + "\r\n"},
		{"presigned by others", "GET /a" + presigned + " HTTP/1.1\r\n\r\n"},
		{"presigned by others, with a header", "GET /a" + presigned + " HTTP/1.1\r\nRange: bytes=0-9\r\nX-Amz-Meta-A:  two  spaces \r\n\r\n"},
		{"version 2 in the query", "GET /a?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1767225600&Signature=a%2Bb%3D HTTP/1.1\r\n\r\n"},
		{"version 2", "GET /a HTTP/1.1\r\nAuthorization: AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=\r\n\r\n"},
		{"Basic", "GET /a HTTP/1.1\r\nAuthorization: Basic am9iOnB3\r\n\r\n"},
		{"Bearer", "POST /a HTTP/1.1\r\nAuthorization: Bearer a.b.c\r\nContent-Length: 2\r\n\r\n{}"},
		{"S3 Express", "PUT /a HTTP/1.1\r\n" + foreign + "X-Amz-S3session-Token: a+b/c=\r\nContent-Length: 3\r\n\r\nabc"},
		{"headers that proxies add or drop", "GET /a HTTP/1.1\r\nAccept-Encoding: gzip;q=0.5, br\r\nX-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\nVia: 1.0 other\r\nCookie: a=b\r\nCookie: c=d\r\nCache-Control: no-store\r\nIf-None-Match: \"x\"\r\n\r\n"},
		{"no User-Agent, empty values", "GET /a HTTP/1.1\r\nX-Empty:\r\nX-Amz-Acl: \r\n\r\n"},
		{"body of no length", "POST /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n"},
		{"POST without a length", "POST /a HTTP/1.1\r\n\r\n"},
		{"DELETE with a body", "DELETE /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"},
		{"another method", "PURGE /a HTTP/1.1\r\n\r\n"},
		{"bytes", "PUT /a HTTP/1.1\r\nContent-Type: application/octet-stream\r\nContent-Length: 512\r\n\r\n" + strings.Repeat("\x00\xff\r\n", 128)},
	}
	for _, target := range rawTargets {
		tests = append(tests, test{"target " + target, "GET " + target + " HTTP/1.1\r\nUser-Agent: \r\n\r\n"})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sent := strings.Replace(tt.request, "HTTP/1.1\r\n", "HTTP/1.1\r\nHost: "+host+"\r\n", 1)
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
			back := readAnswer(t, reader)
			wantFirst, wantHeader, wantBody := parts(t, sent)
			first, header, body := parts(t, server.take(t))
			// The kernel of HTTP/1.1: a length of nothing may be left out or said, where nothing is signed.
			wantHeader, header = withoutNothing(wantHeader), withoutNothing(header)
			if diff := cmp.Diff([]any{wantFirst, wantHeader, wantBody}, []any{first, header, body}); diff != "" {
				t.Errorf("the request (-sent +arrived):\n%s", diff)
			}
			wantFirst, wantHeader, wantBody = parts(t, answer)
			first, header, body = parts(t, back)
			if diff := cmp.Diff([]any{wantFirst, wantHeader, wantBody}, []any{first, header, body}); diff != "" {
				t.Errorf("the answer (-sent +arrived):\n%s", diff)
			}
		})
	}
}

// withoutNothing takes out the length of a body that is none, and an agent of no name.
func withoutNothing(header []string) []string {
	return slices.DeleteFunc(header, func(line string) bool { return line == "Content-Length: 0" || line == "User-Agent: " })
}

// readAnswer returns head and body of an answer that says its length.
func readAnswer(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := readRawRequest(r) // which has the same form
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestSignPassesBodies: in chunks, with trailers, with Expect: the body is the same, and what is
// signed by others is not held back until it is whole.
func TestSignPassesBodies(t *testing.T) {
	t.Parallel()
	c := newCloud(t, time.Hour)
	s := c.sign()
	defer s.end()
	server := c.newRawServer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	const host = "odd.s3.us-east-1.amazonaws.com"
	c.proxy.route(host+":443", server.Addr().String())
	r := request(t, http.MethodPut, "https://"+host+"/a", "")
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader("a body of some length")), -1
	r.Trailer = http.Header{"X-Amz-Checksum-Crc32": {"AAAAAA=="}}
	if status, _, body := s.do(s.client(false), r); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	_, header, body := parts(t, server.take(t))
	if !slices.Contains(header, "Transfer-Encoding: chunked") || !slices.Contains(header, "Trailer: X-Amz-Checksum-Crc32") {
		t.Errorf("the header is %q", header)
	}
	if !strings.Contains(body, "a body of some length") || !strings.HasSuffix(body, "0\r\nX-Amz-Checksum-Crc32: AAAAAA==\r\n\r\n") {
		t.Errorf("the body is %q", body)
	}
}

// TestSignPassesPresigned: what others presigned works at the service as without brs-exec
// (gravitational/teleport#38575).
func TestSignPassesPresigned(t *testing.T) {
	t.Parallel()
	c := newCloud(t, time.Hour)
	c.server.PutObject("/jobs/a b", []byte("the object"))
	others := c.server.Issue("arn:aws:iam::123456789012:role/Other", time.Hour)
	s := c.sign()
	defer s.end()
	r := request(t, http.MethodGet, "https://jobs.s3.us-east-1.amazonaws.com/a%20b?X-Amz-Expires=3600&response-content-type=text%2Fplain", "")
	signed, _, err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).PresignHTTP(t.Context(),
		aws.Credentials{AccessKeyID: others.AccessKeyID, SecretAccessKey: others.SecretAccessKey, SessionToken: others.SessionToken}, r, "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, http2 := range []bool{false, true} {
		if status, _, body := s.do(s.client(http2), request(t, http.MethodGet, signed, "")); status != 200 || body != "the object" {
			t.Errorf("%d %s", status, body)
		}
	}
	for _, call := range c.sent() {
		if call.KeyID != others.AccessKeyID || !strings.HasSuffix(signed, call.URI) {
			t.Errorf("arrived as %s %s", call, call.URI)
		}
	}
}

// TestSignKeepsTargets: path and query of what is signed anew are the same bytes, too, and the
// service's verdict is that the signature fits them. Others escape a path twice (paradigmxyz/iron-proxy#220).
func TestSignKeepsTargets(t *testing.T) {
	t.Parallel()
	c := newCloud(t, time.Hour)
	s := c.sign()
	defer s.end()
	// Those that an SDK would send: what is reserved is escaped.
	targets := []string{
		"//", "//a", "/a//b", "/a//", "/a/../b", "/a/./b", "/./", "/../", "/%2F", "/a%2Fb", "/a%20b", "/a%2Bb", "/%C3%BC", "/a%00b", "/a%3Bb%3D1%2Cc", "/~a", "/%2A", "/a%3Ab%40c",
		"/a%27b%28c%29%21", "/a%25b", "/a%2520b", "/a%3Db%26c", "/%24folder%24", "/a%7Cb", "/%5Ba%5D%7Bb%7D", "/%E2%82%AC%20%F0%9F%98%80",
		"/?a", "/?a=", "/?a=%2B&a=", "/?b=2&a=1&b=1", "/?%C3%BC=%C3%BC", "/a?uploads", "/?list-type=2&prefix=a%2Fb%20c&delimiter=%2F", "/?a=b%3Dc", "/" + strings.Repeat("%C3%BC", 512),
	}
	for _, way := range []string{byProxy, byEndpoint} {
		for _, http2 := range []bool{false, true} {
			if way == byEndpoint && http2 {
				continue
			}
			t.Run(fmt.Sprintf("%s http2=%v", way, http2), func(t *testing.T) {
				client := s.client(http2)
				for _, target := range targets {
					// The bucket keeps the path from being that of the bucket's listing.
					target := "/jobs" + target
					before := len(c.sent())
					r := request(t, http.MethodPut, s.base(way, "s3.us-east-1.amazonaws.com")+target, "x")
					query := r.URL.RawQuery
					signWith(t, r, s.keys, "s3", "us-east-1", "", "x", time.Now())
					r.URL.RawQuery = query // the signer sorts it
					status, _, body := s.do(client, r)
					sent := c.sent()[before:]
					if len(sent) != 1 {
						t.Errorf("%s: %d %s, sent on %d times", target, status, body, len(sent))
						continue
					}
					if sent[0].URI != target || sent[0].KeyID == s.keys.AccessKeyID || !sent[0].Accepted {
						t.Errorf("%s: arrived as %s: %s", target, sent[0].URI, sent[0])
					}
				}
			})
		}
	}
}

// TestSignDualStack: names below api.aws are AWS's, as those of dual-stack endpoints are
// (gravitational/teleport#68793).
func TestSignDualStack(t *testing.T) {
	t.Parallel()
	c := newCloud(t, time.Hour)
	s := c.sign()
	defer s.end()
	for host, service := range map[string]string{
		"sts.us-east-1.api.aws":                        "sts",
		"s3.dualstack.us-east-1.amazonaws.com":         "s3",
		"jobs.s3.dualstack.us-east-1.amazonaws.com":    "s3",
		"s3.amazonaws.com":                             "s3",
		"dotted.name.s3.us-east-1.amazonaws.com":       "s3",
		"sts.cn-north-1.amazonaws.com.cn":              "sts",
		"123456789012.s3-control.us-east-1.api.aws":    "s3",
		"s3-fips.dualstack.us-east-1.amazonaws.com":    "s3",
		"bucket--use1-az4--x-s3.us-east-1.api.aws":     "s3",
		"sts-fips.us-east-1.amazonaws.com":             "sts",
		"aws-mcp.us-east-1.api.aws":                    "sts",
		"jobs.s3.us-east-1.vpce.amazonaws.com":         "s3",
		"vpce-1a2b-3c.s3.us-east-1.vpce.amazonaws.com": "s3",
	} {
		target := "/"
		if service == "sts" {
			target = "/?Action=GetCallerIdentity&Version=2011-06-15"
		}
		region := "us-east-1"
		if strings.HasSuffix(host, ".cn") {
			region = "cn-north-1"
		}
		before := len(c.sent())
		r := request(t, http.MethodGet, "https://"+host+target, "")
		signWith(t, r, s.keys, service, region, "", "", time.Now())
		status, _, body := s.do(s.client(true), r)
		if sent := c.sent()[before:]; len(sent) != 1 || sent[0].Host != host || !sent[0].Accepted {
			t.Errorf("%s: %d %s, arrived %v", host, status, body, sent)
		}
	}
}

// TestSignPayloads: each way in which a client says what its body is, as it came (an
// UNSIGNED-PAYLOAD is one for the service, too: trinodb/aws-proxy#133).
func TestSignPayloads(t *testing.T) {
	t.Parallel()
	c := newCloud(t, time.Hour)
	s := c.sign()
	defer s.end()
	body := strings.Repeat("0123456789abcdef", 5000) // more than one chunk of 64 KiB
	now := time.Now()
	tests := []struct {
		payload string
		header  map[string]string
		body    func(r *http.Request) string
	}{
		{payload: "UNSIGNED-PAYLOAD"},
		{payload: ""}, // the hash
		{
			payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
			header:  map[string]string{"X-Amz-Trailer": "x-amz-checksum-crc32"},
			body:    func(*http.Request) string { return unsignedChunks(body) },
		},
		{
			payload: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
			body:    func(r *http.Request) string { return signedChunks(r, s.keys.SecretAccessKey, body, "", now) },
		},
		{
			payload: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
			header:  map[string]string{"X-Amz-Trailer": "x-amz-checksum-crc32"},
			body: func(r *http.Request) string {
				return signedChunks(r, s.keys.SecretAccessKey, body, "x-amz-checksum-crc32:"+crc32Text(body), now)
			},
		},
	}
	for _, way := range []string{byProxy, byEndpoint} {
		for _, tt := range tests {
			for _, lengthKnown := range []bool{true, false} {
				if !lengthKnown && tt.body == nil {
					continue // S3 wants one
				}
				t.Run(fmt.Sprintf("%s %s length=%v", way, tt.payload, lengthKnown), func(t *testing.T) {
					c.server.PutObject("/jobs/a", nil)
					before := len(c.sent())
					r := request(t, http.MethodPut, s.base(way, "s3.us-east-1.amazonaws.com")+"/jobs/a", "")
					for name, value := range tt.header {
						r.Header.Set(name, value)
					}
					text := body
					if tt.body != nil {
						r.Header.Set("Content-Encoding", "aws-chunked")
						r.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(len(body)))
					}
					signWith(t, r, s.keys, "s3", "us-east-1", tt.payload, body, now)
					if tt.body != nil {
						text = tt.body(r)
					}
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
					if !lengthKnown {
						r.ContentLength = -1
					}
					status, _, answer := s.do(s.client(true), r)
					sent := c.sent()[before:]
					if status != 200 || len(sent) != 1 {
						t.Fatalf("%d %s, sent on %v", status, answer, sent)
					}
					want := tt.payload
					if want == "" {
						want = hexSHA256(body)
					}
					if sent[0].Payload != want {
						t.Errorf("the payload is said to be %s", sent[0].Payload)
					}
					if got, _ := c.server.Object("/jobs/a"); !bytes.Equal(got, []byte(body)) {
						t.Errorf("%d bytes are stored, want %d", len(got), len(body))
					}
				})
			}
		}
	}
}

// TestSignRefusesChunks: a chunk that was changed ends the upload before its end, and nothing is stored.
func TestSignRefusesChunks(t *testing.T) {
	t.Parallel()
	c := newCloud(t, time.Hour)
	s := c.sign()
	defer s.end()
	body := strings.Repeat("0123456789abcdef", 10000)
	now := time.Now()
	changes := map[string]func(string) string{
		"data of the first chunk": func(b string) string { return strings.Replace(b, "0123", "4567", 1) },
		"data of the last chunk": func(b string) string {
			i := strings.LastIndex(b, "0123")
			return b[:i] + "4567" + b[i+4:]
		},
		"signature of the last chunk": func(b string) string { return b[:len(b)-5] + "zzzz" + b[len(b)-1:] },
		"no last chunk":               func(b string) string { return b[:strings.LastIndex(b, "0;chunk-signature")] },
		"two chunks exchanged": func(b string) string {
			first := strings.Index(b, "\r\n") + 2 + 64<<10 + 2
			second := first + first // of equal size
			return b[first:second] + b[:first] + b[second:]
		},
	}
	for _, way := range []string{byProxy, byEndpoint} {
		for name, change := range changes {
			for _, lengthKnown := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s %s length=%v", way, name, lengthKnown), func(t *testing.T) {
					r := request(t, http.MethodPut, s.base(way, "s3.us-east-1.amazonaws.com")+"/jobs/bad", "")
					r.Header.Set("Content-Encoding", "aws-chunked")
					r.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(len(body)))
					signWith(t, r, s.keys, "s3", "us-east-1", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", body, now)
					text := change(signedChunks(r, s.keys.SecretAccessKey, body, "", now))
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
					if !lengthKnown {
						r.ContentLength = -1
					}
					status, _, answer := s.do(s.client(way == byProxy), r)
					if status >= 200 && status < 300 || status >= 500 {
						t.Errorf("%d %s, want a refusal", status, answer)
					}
					for _, call := range c.sent() {
						if call.Accepted {
							t.Errorf("the service took it: %s", call)
						}
					}
					if _, ok := c.server.Object("/jobs/bad"); ok {
						t.Error("it is stored")
					}
				})
			}
		}
	}
}
