package fakeaws

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// s3Do sends one call of S3, signed with credentials that never expire.
func s3Do(t *testing.T, s *Server, method, path, body string, header map[string]string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	setBody(r, body)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	sign(t, r, s.Bootstrap(), "s3", "UNSIGNED-PAYLOAD", s.Now())
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

func TestObjects(t *testing.T) {
	s := listen(t, Options{})
	for _, key := range []string{"a/1", "b"} {
		if resp, body := s3Do(t, s, "PUT", "/jobs/"+key, "0123456789", nil); resp.StatusCode != 200 || resp.Header.Get("ETag") == "" {
			t.Fatalf("PUT %s = %d %s, ETag %q", key, resp.StatusCode, body, resp.Header.Get("ETag"))
		}
	}
	tests := []struct {
		name, method, path, ranged string
		status                     int
		body                       string
		action                     string
	}{
		{"get", "GET", "/jobs/b", "", 200, "0123456789", "GetObject"},
		{"head", "HEAD", "/jobs/b", "", 200, "", "HeadObject"},
		{"middle", "GET", "/jobs/b", "bytes=2-4", 206, "234", "GetObject"},
		{"from", "GET", "/jobs/b", "bytes=7-", 206, "789", "GetObject"},
		{"last", "GET", "/jobs/b", "bytes=-2", 206, "89", "GetObject"},
		{"more than there is", "GET", "/jobs/b", "bytes=8-1000", 206, "89", "GetObject"},
		{"head of a bucket", "HEAD", "/jobs", "", 200, "", "HeadBucket"},
		{"delete", "DELETE", "/jobs/b", "", 204, "", "DeleteObject"},
		{"gone", "HEAD", "/jobs/b", "", 404, "", "HeadObject"},
	}
	for _, test := range tests {
		header := map[string]string{}
		if test.ranged != "" {
			header["Range"] = test.ranged
		}
		resp, body := s3Do(t, s, test.method, test.path, "", header)
		if resp.StatusCode != test.status || body != test.body {
			t.Errorf("%s: %d %q, want %d %q", test.name, resp.StatusCode, body, test.status, test.body)
		}
		calls := s.Calls()
		if got := calls[len(calls)-1].Action; got != test.action {
			t.Errorf("%s: action %q, want %q", test.name, got, test.action)
		}
	}
}

var named = regexp.MustCompile(`<(?:Key|Prefix)>([^<]+)<`)

func TestListing(t *testing.T) {
	s := listen(t, Options{})
	for _, path := range []string{"/jobs/a/1", "/jobs/a/b/2", "/jobs/a+", "/jobs/c", "/other/c"} {
		s.PutObject(path, []byte("x"))
	}
	tests := []struct {
		query string
		want  []string
	}{
		{"?list-type=2", []string{"a+", "a/1", "a/b/2", "c"}},
		{"?encoding-type=url", []string{"a%2B", "a/1", "a/b/2", "c"}},
		{"?list-type=2&delimiter=%2F", []string{"a+", "c", "a/"}},
		{"?list-type=2&prefix=a%2F&delimiter=%2F", []string{"a/", "a/1", "a/b/"}}, // the first one repeats the question
		{"?prefix=z", []string{"z"}},
	}
	for _, test := range tests {
		_, body := s3Do(t, s, "GET", "/jobs"+test.query, "", nil)
		var got []string
		for _, m := range named.FindAllStringSubmatch(body, -1) {
			got = append(got, m[1])
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", test.query, diff, body)
		}
	}
	if _, body := s3Do(t, s, "GET", "/jobs?location", "", nil); !strings.Contains(body, "LocationConstraint") {
		t.Errorf("location: %s", body)
	}
}

// TestHold shows that an answer is held back and that the call is judged before.
func TestHold(t *testing.T) {
	const held = 300 * time.Millisecond
	s := listen(t, Options{Hold: map[string]time.Duration{"PutObject": held}})
	start := time.Now()
	s3Do(t, s, "PUT", "/jobs/b", "x", nil)
	took := time.Since(start)
	if took < held {
		t.Errorf("PUT took %v, want at least %v", took, held)
	}
	if waited := start.Add(took).Sub(s.Calls()[0].Time); waited < held {
		t.Errorf("the call is logged %v before its answer, want at least %v", waited, held)
	}
}

var uploadID = regexp.MustCompile(`<UploadId>([^<]+)<`)

func TestMultipart(t *testing.T) {
	s := listen(t, Options{})
	begin := func() string {
		_, body := s3Do(t, s, "POST", "/jobs/big?uploads=", "", nil)
		m := uploadID.FindStringSubmatch(body)
		if m == nil {
			t.Fatalf("no upload id in %s", body)
		}
		return m[1]
	}
	id := begin()
	for n, part := range map[string]string{"2": "world", "1": "hello "} {
		if resp, body := s3Do(t, s, "PUT", "/jobs/big?partNumber="+n+"&uploadId="+id, part, nil); resp.StatusCode != 200 {
			t.Fatalf("part %s: %d %s", n, resp.StatusCode, body)
		}
	}
	if resp, _ := s3Do(t, s, "GET", "/jobs/big", "", nil); resp.StatusCode != 404 {
		t.Errorf("GET before the end = %d, want 404", resp.StatusCode)
	}
	if resp, body := s3Do(t, s, "POST", "/jobs/big?uploadId="+id, "<CompleteMultipartUpload/>", nil); resp.StatusCode != 200 {
		t.Fatalf("complete: %d %s", resp.StatusCode, body)
	}
	if _, body := s3Do(t, s, "GET", "/jobs/big", "", nil); body != "hello world" {
		t.Errorf("GET = %q, want the parts in their order", body)
	}
	aborted := begin()
	if resp, _ := s3Do(t, s, "DELETE", "/jobs/big?uploadId="+aborted, "", nil); resp.StatusCode != 204 {
		t.Errorf("abort = %d, want 204", resp.StatusCode)
	}
	for _, gone := range []string{id, aborted} {
		if resp, _ := s3Do(t, s, "PUT", "/jobs/big?partNumber=1&uploadId="+gone, "x", nil); resp.StatusCode != 404 {
			t.Errorf("a part for an upload that is over = %d, want 404", resp.StatusCode)
		}
	}
}
