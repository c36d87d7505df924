package fakeaws

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// The examples of S3's API reference, with the keys that it uses throughout.
const (
	exampleKey    = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

func exampleRequest(method, target, host string, body []byte, header map[string]string) *http.Request {
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	r.Host = host
	for name, value := range header {
		r.Header.Set(name, value)
	}
	return r
}

// TestVerifyPublished checks the verifier against signatures that AWS printed
// in its documentation.
func TestVerifyPublished(t *testing.T) {
	const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	auth := func(headers, signature string) string {
		return "AWS4-HMAC-SHA256 Credential=" + exampleKey + "/20130524/us-east-1/s3/aws4_request,SignedHeaders=" +
			headers + ",Signature=" + signature
	}
	chunked := []byte("10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" +
		strings.Repeat("a", 65536) + "\r\n" +
		"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" +
		strings.Repeat("a", 1024) + "\r\n" +
		"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n")
	tests := []struct {
		name string
		r    *http.Request
		body []byte
	}{
		{"GET object", exampleRequest("GET", "/test.txt", "examplebucket.s3.amazonaws.com", nil, map[string]string{
			"Range":                "bytes=0-9",
			"X-Amz-Content-Sha256": emptyHash,
			"X-Amz-Date":           "20130524T000000Z",
			"Authorization": auth("host;range;x-amz-content-sha256;x-amz-date",
				"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
		}), nil},
		{"GET with a query", exampleRequest("GET", "/?max-keys=2&prefix=J", "examplebucket.s3.amazonaws.com", nil, map[string]string{
			"X-Amz-Content-Sha256": emptyHash,
			"X-Amz-Date":           "20130524T000000Z",
			"Authorization": auth("host;x-amz-content-sha256;x-amz-date",
				"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
		}), nil},
		{"PUT in signed chunks", exampleRequest("PUT", "/examplebucket/chunkObject.txt", "s3.amazonaws.com", chunked, map[string]string{
			"X-Amz-Date":                   "20130524T000000Z",
			"X-Amz-Storage-Class":          "REDUCED_REDUNDANCY",
			"X-Amz-Content-Sha256":         "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
			"Content-Encoding":             "aws-chunked",
			"X-Amz-Decoded-Content-Length": "66560",
			"Authorization": auth("content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
				"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"),
		}), chunked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parseSigned(tt.r, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if why := s.verify(exampleSecret); why != "" {
				t.Errorf("verify = %q, want the published signature to be accepted", why)
			}
			if why := s.verify(exampleSecret + "x"); why == "" {
				t.Error("verify with another secret accepted the signature")
			}
			if len(tt.body) > 0 {
				s.body = bytes.Replace(tt.body, []byte("aaa"), []byte("aab"), 1)
				if why := s.verify(exampleSecret); why == "" {
					t.Error("verify accepted a changed chunk")
				}
			}
		})
	}
}

// TestVerifySDK signs with the SDK's signer and then changes one thing after
// the other: each must be noticed.
func TestVerifySDK(t *testing.T) {
	s := listen(t, Options{})
	set := s.Issue("arn:aws:iam::123456789012:role/App", time.Hour)
	other := s.Issue("arn:aws:iam::123456789012:role/App", time.Hour)
	old := s.Issue("arn:aws:iam::123456789012:role/App", time.Nanosecond)
	const form = "Action=GetCallerIdentity&Version=2011-06-15"
	tests := []struct {
		name   string
		set    Credentials
		change func(*http.Request)
		code   string
	}{
		{"nothing", set, func(*http.Request) {}, ""},
		{"no signature", set, func(r *http.Request) { r.Header.Del("Authorization") }, "MissingAuthenticationToken"},
		{"body", set, func(r *http.Request) { setBody(r, form+"&Extra=1") }, "SignatureDoesNotMatch"},
		{"query", set, func(r *http.Request) { r.URL.RawQuery = "a=b" }, "SignatureDoesNotMatch"},
		{"signed header", set, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, "SignatureDoesNotMatch"},
		{"unsigned amz header", set, func(r *http.Request) { r.Header.Set("X-Amz-Extra", "1") }, "SignatureDoesNotMatch"},
		{"secret of other credentials", Credentials{AccessKeyID: set.AccessKeyID, SecretAccessKey: other.SecretAccessKey, SessionToken: set.SessionToken}, func(*http.Request) {}, "SignatureDoesNotMatch"},
		{"token of other credentials", Credentials{AccessKeyID: set.AccessKeyID, SecretAccessKey: set.SecretAccessKey, SessionToken: other.SessionToken}, func(*http.Request) {}, "InvalidClientTokenId"},
		{"no token", Credentials{AccessKeyID: set.AccessKeyID, SecretAccessKey: set.SecretAccessKey}, func(*http.Request) {}, "InvalidClientTokenId"},
		{"unknown key", Credentials{AccessKeyID: "ASIANOBODY", SecretAccessKey: set.SecretAccessKey, SessionToken: set.SessionToken}, func(*http.Request) {}, "InvalidClientTokenId"},
		{"expired", old, func(*http.Request) {}, "ExpiredToken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequest("POST", s.URL()+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
			setBody(r, form)
			sign(t, r, tt.set, "sts", hexHash([]byte(form)), time.Now())
			tt.change(r)
			if got := errorCode(t, r); got != tt.code {
				t.Errorf("code = %q, want %q", got, tt.code)
			}
		})
	}
	t.Run("signed long ago", func(t *testing.T) {
		r, err := http.NewRequest("POST", s.URL()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		setBody(r, form)
		sign(t, r, set, "sts", hexHash([]byte(form)), time.Now().Add(-16*time.Minute))
		if got := errorCode(t, r); got != "SignatureDoesNotMatch" {
			t.Errorf("code = %q, want SignatureDoesNotMatch", got)
		}
	})
}

func sign(t *testing.T, r *http.Request, c Credentials, service, payload string, at time.Time) {
	t.Helper()
	creds := aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, payload, service, "us-east-1", at); err != nil {
		t.Fatal(err)
	}
}
