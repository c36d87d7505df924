package fakeaws

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// upload is a multipart upload that has not been completed.
type upload struct {
	path  string
	parts map[int][]byte
}

// multipart names a call of S3's multipart upload, "" for any other.
func (c s3) multipart() string {
	query := c.request.URL.Query()
	switch _, key := c.split(); {
	case key == "":
	case c.request.Method == http.MethodPost && query.Has("uploads"):
		return "CreateMultipartUpload"
	case c.request.Method == http.MethodPut && query.Has("uploadId"):
		return "UploadPart"
	case c.request.Method == http.MethodPost && query.Has("uploadId"):
		return "CompleteMultipartUpload"
	case c.request.Method == http.MethodDelete && query.Has("uploadId"):
		return "AbortMultipartUpload"
	}
	return ""
}

func (c s3) doMultipart(s *Server) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	bucket, key := c.split()
	path, query := c.path, c.request.URL.Query()
	id := query.Get("uploadId")
	u := s.uploads[id]
	action := c.multipart()
	if action == "CreateMultipartUpload" {
		id = rand.Text()
		s.uploads[id] = &upload{path: path, parts: map[int][]byte{}}
		return c.xml("InitiateMultipartUploadResult", fmt.Sprintf("<Bucket>%s</Bucket><Key>%s</Key><UploadId>%s</UploadId>",
			escapeXML(bucket), escapeXML(key), id))
	}
	if u == nil || u.path != path {
		return c.error(404, "NoSuchUpload", "The specified multipart upload does not exist.", "no such upload")
	}
	switch action {
	case "UploadPart":
		n, err := strconv.Atoi(query.Get("partNumber"))
		if err != nil || n < 1 {
			return c.error(400, "InvalidPart", "One or more of the specified parts could not be found.", "bad part")
		}
		object, refusal, bad := c.object()
		if bad {
			return refusal
		}
		u.parts[n] = object
		return answer{status: http.StatusOK, header: map[string]string{"ETag": etag(object)}}
	case "AbortMultipartUpload":
		delete(s.uploads, id)
		return answer{status: http.StatusNoContent}
	}
	var whole []byte
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		whole = append(whole, u.parts[n]...)
	}
	delete(s.uploads, id)
	s.objects[path] = whole
	return c.xml("CompleteMultipartUploadResult", fmt.Sprintf("<Bucket>%s</Bucket><Key>%s</Key><ETag>%s</ETag>",
		escapeXML(bucket), escapeXML(key), escapeXML(etag(whole))))
}
