package fakeaws

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// s3 is a call of S3 with the bucket in the path.
type s3 struct {
	request *http.Request
	body    []byte
}

func (c s3) action() string {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(c.request.URL.Path, "/"), "/")
	switch {
	case c.request.Method == http.MethodGet && bucket == "":
		return "ListBuckets"
	case c.request.Method == http.MethodGet && key != "":
		return "GetObject"
	case c.request.Method == http.MethodPut && key != "":
		return "PutObject"
	case c.request.Method == http.MethodPut && bucket != "":
		return "CreateBucket"
	}
	return c.request.Method + " " + c.request.URL.Path
}

func (c s3) contentType() string  { return "application/xml" }
func (c s3) params() url.Values   { return nil }
func (c s3) needsSignature() bool { return true }

// s3Refusals are those of S3's API reference, "Error responses".
var s3Refusals = map[verdict]struct {
	status        int
	code, message string
}{
	unsigned:     {403, "AccessDenied", "Access Denied"},
	unknownKey:   {403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."},
	wrongToken:   {400, "InvalidToken", "The provided token is malformed or otherwise invalid."},
	badSignature: {403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	skewed:       {403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."},
	expired:      {400, "ExpiredToken", "The provided token has expired."},
	denied:       {403, "AccessDenied", "Access Denied"},
}

func (c s3) refuse(v verdict, reason string) answer {
	r := s3Refusals[v]
	return c.error(r.status, r.code, r.message, reason)
}

func (c s3) fail(k Kind) answer {
	if k == Throttle {
		return c.error(503, "SlowDown", "Please reduce your request rate.", "throttled by the test")
	}
	return c.error(503, "ServiceUnavailable", "Service is unable to handle request.", "made unavailable by the test")
}

func (c s3) error(status int, code, message, reason string) answer {
	body := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>%s</Code><Message>%s</Message><RequestId>%s</RequestId></Error>
`, code, message, requestID)
	return answer{status: status, body: []byte(body), code: code, reason: reason}
}

func (c s3) do(s *Server, id *identity) answer {
	path := c.request.URL.Path
	switch c.action() {
	case "ListBuckets":
		body := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>%s</ID></Owner><Buckets><Bucket><Name>jobs</Name><CreationDate>%s</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>
`, Account, stamp(time.Unix(1700000000, 0)))
		return answer{status: http.StatusOK, body: []byte(body)}
	case "CreateBucket": // every bucket exists
		return answer{status: http.StatusOK}
	case "PutObject":
		object := c.body
		if strings.HasPrefix(c.request.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
			var ok bool
			if object, ok = decodeChunks(c.body); !ok {
				return c.error(400, "IncompleteBody", "The body is not aws-chunked.", "bad framing")
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.objects[path] = bytes.Clone(object)
		return answer{status: http.StatusOK}
	case "GetObject":
		s.mu.Lock()
		defer s.mu.Unlock()
		object, ok := s.objects[path]
		if !ok {
			return c.error(404, "NoSuchKey", "The specified key does not exist.", "no such object")
		}
		return answer{status: http.StatusOK, body: object}
	}
	return c.error(501, "NotImplemented", "A header or method you provided implies functionality that is not implemented.", "unknown action")
}
