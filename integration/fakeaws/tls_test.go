package fakeaws

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"
)

// secure returns a client for which each name is s over TLS.
func secure(t *testing.T, s *Server, protocols ...string) *http.Client {
	t.Helper()
	authority, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.ServeTLS(l, authority.Config())
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.PEM())
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
		},
		TLSClientConfig: &tls.Config{RootCAs: roots, NextProtos: protocols}, ForceAttemptHTTP2: len(protocols) == 0,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestHosts: a name says which bucket is meant, and what a signature has to be for.
func TestHosts(t *testing.T) {
	tests := []struct {
		host, service, path string
		code                string
		action              string
	}{
		{"jobs.s3.us-east-1.amazonaws.com", "s3", "/a", "NoSuchKey", "GetObject"},
		{"jobs.s3.us-east-1.amazonaws.com", "s3", "/b/c", "", "GetObject"},
		{"s3.us-east-1.amazonaws.com", "s3", "/jobs/b/c", "", "GetObject"},
		{"jobs.s3.dualstack.us-east-1.amazonaws.com", "s3", "/b/c", "", "GetObject"},
		{"jobs.s3.amazonaws.com", "s3", "/b/c", "", "GetObject"},
		{"a.jobs.s3.us-east-1.amazonaws.com", "s3", "/", "", "ListObjects"},
		{"jobs.s3.eu-west-1.amazonaws.com", "s3", "/b/c", "SignatureDoesNotMatch", "GetObject"},
		{"s3.us-east-1.amazonaws.com", "sts", "/jobs/b/c", "SignatureDoesNotMatch", "GetObject"},
		{"sts.us-east-1.amazonaws.com", "s3", "/?Action=GetCallerIdentity", "SignatureDoesNotMatch", "GetCallerIdentity"},
		{"sts.us-east-1.amazonaws.com", "sts", "/?Action=GetCallerIdentity", "", "GetCallerIdentity"},
		{"sts.amazonaws.com", "sts", "/?Action=GetCallerIdentity", "", "GetCallerIdentity"},
		{"sts.us-east-1.api.aws", "sts", "/?Action=GetCallerIdentity", "", "GetCallerIdentity"},
	}
	s := listen(t, Options{})
	s.PutObject("/jobs/b/c", []byte("x"))
	client := secure(t, s)
	for _, tt := range tests {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+tt.host+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Content-Sha256", hexHash(nil))
		sign(t, r, s.Bootstrap(), tt.service, hexHash(nil), s.Now())
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		calls := s.Calls()
		c := calls[len(calls)-1]
		if c.Code != tt.code || c.Action != tt.action || c.Proto != "HTTP/2.0" || c.Host != tt.host || c.URI != tt.path {
			t.Errorf("%s%s of %s: %+v, want %s %s", tt.host, tt.path, tt.service, c, tt.action, tt.code)
		}
	}
}

func TestHTTP1(t *testing.T) {
	s := listen(t, Options{})
	r := identityRequest(t, s, s.Bootstrap())
	r.URL.Scheme, r.URL.Host = "https", "sts.us-east-1.amazonaws.com"
	r.Host = ""
	body, _ := io.ReadAll(r.Body)
	setBody(r, string(body))
	sign(t, r, s.Bootstrap(), "sts", hexHash(body), s.Now())
	resp, err := secure(t, s, "http/1.1").Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if c := s.Calls()[0]; !c.Accepted || c.Proto != "HTTP/1.1" {
		t.Errorf("%+v, want an accepted call by HTTP/1.1", c)
	}
}

func TestPresigned(t *testing.T) {
	s := listen(t, Options{})
	s.PutObject("/jobs/b", []byte("x"))
	set := s.Issue("arn:aws:iam::123456789012:role/App", time.Hour)
	tests := []struct {
		name   string
		ago    time.Duration
		change func(url string) string
		code   string
	}{
		{"good", 0, func(url string) string { return url }, ""},
		{"still valid", 50 * time.Minute, func(url string) string { return url }, ""},
		{"expired", 61 * time.Minute, func(url string) string { return url }, "AccessDenied"},
		{"of another object", 0, func(url string) string { return strings.Replace(url, "/jobs/b", "/jobs/c", 1) }, "SignatureDoesNotMatch"},
		{"with more in its query", 0, func(url string) string { return url + "&versionId=1" }, "SignatureDoesNotMatch"},
		{"without its token", 0, func(url string) string { return strings.Replace(url, "X-Amz-Security-Token", "X-Amz-Other", 1) }, "InvalidToken"},
	}
	for _, tt := range tests {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL()+"/jobs/b?X-Amz-Expires=3600", nil)
		if err != nil {
			t.Fatal(err)
		}
		creds := aws.Credentials{AccessKeyID: set.AccessKeyID, SecretAccessKey: set.SecretAccessKey, SessionToken: set.SessionToken}
		signed, _, err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).PresignHTTP(t.Context(), creds, r,
			"UNSIGNED-PAYLOAD", "s3", "us-east-1", s.Now().Add(-tt.ago))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Get(tt.change(signed))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		calls := s.Calls()
		if c := calls[len(calls)-1]; c.Code != tt.code {
			t.Errorf("%s: %v, want code %q", tt.name, c, tt.code)
		}
	}
}

// TestObjectsChecked: an upload that is not what its headers say is stored by nobody.
func TestObjectsChecked(t *testing.T) {
	const trailing = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	long := strings.Repeat("a", 9000)
	tests := []struct {
		name, payload, body string
		header              map[string]string
		code                string
	}{
		{"checksum", "UNSIGNED-PAYLOAD", "123456789", map[string]string{"X-Amz-Checksum-Crc64nvme": "rosUhgp5mIg="}, ""},
		{"crc32c", "UNSIGNED-PAYLOAD", "123456789", map[string]string{"X-Amz-Checksum-Crc32c": "4waSgw=="}, ""},
		{"wrong checksum", "UNSIGNED-PAYLOAD", "123456780", map[string]string{"X-Amz-Checksum-Crc64nvme": "rosUhgp5mIg="}, "BadDigest"},
		{"trailer", trailing, "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", map[string]string{"X-Amz-Decoded-Content-Length": "9", "X-Amz-Trailer": "x-amz-checksum-crc32"}, ""},
		{"wrong trailer", trailing, "9\r\n123456780\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", map[string]string{"X-Amz-Decoded-Content-Length": "9", "X-Amz-Trailer": "x-amz-checksum-crc32"}, "BadDigest"},
		{"no trailer", trailing, "9\r\n123456789\r\n0\r\n\r\n", map[string]string{"X-Amz-Decoded-Content-Length": "9", "X-Amz-Trailer": "x-amz-checksum-crc32"}, "MalformedTrailerError"},
		{"another length", trailing, "9\r\n123456789\r\n0\r\n\r\n", map[string]string{"X-Amz-Decoded-Content-Length": "8"}, "IncompleteBody"},
		{"no length", trailing, "9\r\n123456789\r\n0\r\n\r\n", nil, "MissingContentLength"},
		{"two chunks", trailing, "2328\r\n" + long + "\r\n1\r\na\r\n0\r\n\r\n", map[string]string{"X-Amz-Decoded-Content-Length": "9001"}, ""},
		{"a small chunk", trailing, "1\r\na\r\n2328\r\n" + long + "\r\n0\r\n\r\n", map[string]string{"X-Amz-Decoded-Content-Length": "9001"}, "InvalidChunkSizeError"},
		{"no chunks", trailing, "123456789", map[string]string{"X-Amz-Decoded-Content-Length": "9"}, "SignatureDoesNotMatch"},
	}
	s := listen(t, Options{})
	for _, tt := range tests {
		r, err := http.NewRequestWithContext(t.Context(), "PUT", s.URL()+"/jobs/b", nil)
		if err != nil {
			t.Fatal(err)
		}
		setBody(r, tt.body)
		r.Header.Set("X-Amz-Content-Sha256", tt.payload)
		for name, value := range tt.header {
			r.Header.Set(name, value)
		}
		sign(t, r, s.Bootstrap(), "s3", tt.payload, s.Now())
		if got := errorCode(t, r); got != tt.code {
			t.Errorf("%s: code %q, want %q", tt.name, got, tt.code)
		}
	}
	want := strings.Repeat("a", 9001)
	if got, _ := s.Object("/jobs/b"); !cmp.Equal(string(got), want) {
		t.Errorf("the object has %d bytes, want %d", len(got), len(want))
	}
}
