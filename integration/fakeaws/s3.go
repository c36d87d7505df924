package fakeaws

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// s3 is a call of S3.
type s3 struct {
	request *http.Request
	path    string // "/BUCKET/KEY", wherever the bucket was named
	body    []byte
}

// split returns the bucket and the key that the path names.
func (c s3) split() (bucket, key string) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(c.path, "/"), "/")
	return bucket, key
}

func (c s3) action() string {
	if name := c.multipart(); name != "" {
		return name
	}
	bucket, key := c.split()
	query := c.request.URL.Query()
	switch c.request.Method {
	case http.MethodGet:
		switch {
		case bucket == "":
			return "ListBuckets"
		case key != "":
			return "GetObject"
		case query.Has("location"):
			return "GetBucketLocation"
		case query.Get("list-type") == "2":
			return "ListObjectsV2"
		case query.Has("versioning") || query.Has("object-lock"):
		default:
			return "ListObjects"
		}
	case http.MethodHead:
		switch {
		case key != "":
			return "HeadObject"
		case bucket != "":
			return "HeadBucket"
		}
	case http.MethodPut:
		switch {
		case key != "":
			return "PutObject"
		case bucket != "":
			return "CreateBucket"
		}
	case http.MethodDelete:
		if key != "" {
			return "DeleteObject"
		}
	}
	return c.request.Method + " " + c.path
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
	if c.multipart() != "" {
		return c.doMultipart(s)
	}
	switch c.action() {
	case "ListBuckets":
		return c.xml("ListAllMyBucketsResult", fmt.Sprintf("<Owner><ID>%s</ID></Owner><Buckets><Bucket><Name>jobs</Name><CreationDate>%s</CreationDate></Bucket></Buckets>",
			Account, stamp(modified)))
	case "CreateBucket", "HeadBucket": // every bucket exists
		return answer{status: http.StatusOK}
	case "GetBucketLocation": // empty is us-east-1
		return c.xml("LocationConstraint", "")
	case "ListObjectsV2", "ListObjects":
		return c.list(s)
	case "PutObject":
		return c.put(s)
	case "GetObject", "HeadObject":
		return c.get(s)
	case "DeleteObject":
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.objects, c.path)
		return answer{status: http.StatusNoContent}
	}
	return c.error(501, "NotImplemented", "A header or method you provided implies functionality that is not implemented.", "unknown action")
}

// modified is when every object was last changed: nothing depends on it.
var modified = time.Unix(1700000000, 0)

func (c s3) xml(element, inner string) answer {
	body := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<%[1]s xmlns="http://s3.amazonaws.com/doc/2006-03-01/">%[2]s</%[1]s>
`, element, inner)
	return answer{status: http.StatusOK, body: []byte(body)}
}

func etag(object []byte) string { return fmt.Sprintf(`"%x"`, md5.Sum(object)) }

// object is what the body carries; bad is set if it is not framed as its headers say, or not
// what its checksums say.
func (c s3) object() (object []byte, refusal answer, bad bool) {
	refuse := func(status int, code, reason string) ([]byte, answer, bool) {
		return nil, c.error(status, code, reason, reason), true
	}
	h := c.request.Header
	object = bytes.Clone(c.body)
	length := strconv.FormatInt(c.request.ContentLength, 10)
	trailer := http.Header{}
	if strings.HasPrefix(h.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		chunks, lines, ok := parseChunks(c.body)
		if !ok {
			return refuse(400, "IncompleteBody", "The body is not aws-chunked.")
		}
		object = nil
		for i, chunk := range chunks {
			if i < len(chunks)-2 && len(chunk.data) < 8<<10 { // the last of data is before that of size 0
				return refuse(403, "InvalidChunkSizeError", "Only the last chunk is allowed to have a size less than 8192 bytes")
			}
			object = append(object, chunk.data...)
		}
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ":")
			trailer.Set(name, value)
		}
		length = h.Get("X-Amz-Decoded-Content-Length")
		for name := range strings.SplitSeq(h.Get("X-Amz-Trailer"), ",") {
			if name != "" && trailer.Get(strings.TrimSpace(name)) == "" {
				return refuse(400, "MalformedTrailerError", "The request contained trailing data that was not well-formed.")
			}
		}
	}
	if n, err := strconv.Atoi(length); err != nil || n < 0 {
		return refuse(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	} else if n != len(object) {
		return refuse(400, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header.")
	}
	for name, sum := range checksums {
		want := cmp.Or(h.Get(name), trailer.Get(name))
		if want != "" && want != base64.StdEncoding.EncodeToString(sum(object)) {
			return refuse(400, "BadDigest", "The "+name+" you specified did not match the calculated checksum.")
		}
	}
	return object, answer{}, false
}

// checksums are those of "Checking object integrity in Amazon S3", by header or trailer.
var checksums = map[string]func([]byte) []byte{
	"X-Amz-Checksum-Crc32": func(b []byte) []byte { return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) },
	"X-Amz-Checksum-Crc32c": func(b []byte) []byte {
		return binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	},
	"X-Amz-Checksum-Crc64nvme": func(b []byte) []byte {
		return binary.BigEndian.AppendUint64(nil, crc64.Checksum(b, crc64.MakeTable(0x9A6C9329AC4BC9B5)))
	},
	"X-Amz-Checksum-Sha1":   func(b []byte) []byte { h := sha1.Sum(b); return h[:] },
	"X-Amz-Checksum-Sha256": func(b []byte) []byte { h := sha256.Sum256(b); return h[:] },
	"Content-Md5":           func(b []byte) []byte { h := md5.Sum(b); return h[:] },
}

func (c s3) put(s *Server) answer {
	object, refusal, bad := c.object()
	if bad {
		return refusal
	}
	s.PutObject(c.path, object)
	return answer{status: http.StatusOK, header: map[string]string{"ETag": etag(object)}}
}

// Object is the content of an object, path being "/BUCKET/KEY", and false if there is none.
func (s *Server) Object(path string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object, ok := s.objects[path]
	return object, ok
}

// PutObject makes an object, path being "/BUCKET/KEY".
func (s *Server) PutObject(path string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[path] = content
}

// get answers with an object or, if one is asked for, a single range of it.
func (c s3) get(s *Server) answer {
	s.mu.Lock()
	object, ok := s.objects[c.path]
	s.mu.Unlock()
	if !ok {
		return c.error(404, "NoSuchKey", "The specified key does not exist.", "no such object")
	}
	a := answer{status: http.StatusOK, body: object, header: map[string]string{
		"Content-Type":  "application/octet-stream",
		"ETag":          etag(object),
		"Last-Modified": modified.UTC().Format(http.TimeFormat),
		"Accept-Ranges": "bytes",
	}}
	from, to, ok := byteRange(c.request.Header.Get("Range"), len(object))
	if !ok {
		return a
	}
	if from >= len(object) {
		return c.error(416, "InvalidRange", "The requested range is not satisfiable", "bad range")
	}
	a.status, a.body = http.StatusPartialContent, object[from:to]
	a.header["Content-Range"] = fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(object))
	return a
}

// byteRange reads "bytes=from-to" with either end left out, for an object of
// that size; to is past the last byte. It returns false for anything else.
func byteRange(text string, size int) (from, to int, ok bool) {
	spec, found := strings.CutPrefix(text, "bytes=")
	if !found {
		return 0, 0, false
	}
	if n, err := fmt.Sscanf(spec, "-%d", &to); n == 1 && err == nil {
		return max(0, size-to), size, true
	}
	if n, _ := fmt.Sscanf(spec, "%d-%d", &from, &to); n == 2 {
		return from, min(to+1, size), true
	}
	if n, _ := fmt.Sscanf(spec, "%d-", &from); n == 1 {
		return from, size, true
	}
	return 0, 0, false
}

// list answers both versions of the listing, always in one page.
func (c s3) list(s *Server) answer {
	bucket, _ := c.split()
	query := c.request.URL.Query()
	prefix, delimiter := query.Get("prefix"), query.Get("delimiter")
	name := func(key string) string {
		if query.Get("encoding-type") == "url" {
			key = strings.ReplaceAll(escape(key), "%2F", "/")
		}
		return escapeXML(key)
	}
	var contents, groups strings.Builder
	count := 0
	seen := map[string]bool{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range s.keysOf(bucket) {
		rest, found := strings.CutPrefix(key, prefix)
		if !found {
			continue
		}
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			if group := prefix + rest[:i+len(delimiter)]; !seen[group] {
				seen[group] = true
				count++
				fmt.Fprintf(&groups, "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>", name(group))
			}
			continue
		}
		count++
		object := s.objects["/"+bucket+"/"+key]
		fmt.Fprintf(&contents, "<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>%s</ETag><Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>",
			name(key), stamp(modified), escapeXML(etag(object)), len(object))
	}
	return c.xml("ListBucketResult", fmt.Sprintf("<Name>%s</Name><Prefix>%s</Prefix><Delimiter>%s</Delimiter><MaxKeys>1000</MaxKeys><KeyCount>%d</KeyCount><IsTruncated>false</IsTruncated>%s%s%s",
		escapeXML(bucket), name(prefix), name(delimiter), count, encodingType(query), contents.String(), groups.String()))
}

// encodingType tells the client to decode the names, if it asked to have them
// encoded.
func encodingType(query url.Values) string {
	if query.Get("encoding-type") != "url" {
		return ""
	}
	return "<EncodingType>url</EncodingType>"
}

// keysOf lists a bucket in order; the caller holds s.mu.
func (s *Server) keysOf(bucket string) []string {
	var keys []string
	for path := range s.objects {
		if key, ok := strings.CutPrefix(path, "/"+bucket+"/"); ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
