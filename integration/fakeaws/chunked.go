package fakeaws

import (
	"bytes"
	"strconv"
	"strings"
)

// chunk is one piece of an aws-chunked body, S3's framing for uploads whose
// hash is not known when the headers are sent.
type chunk struct {
	data      []byte
	signature string
}

// parseChunks takes an aws-chunked body apart: hexadecimal size, optionally
// ";chunk-signature=…", CRLF, data, CRLF, until a chunk of size 0, then the
// trailing headers. It returns false if the body is not of that form.
func parseChunks(body []byte) (chunks []chunk, trailer []string, ok bool) {
	for {
		line, rest, found := bytes.Cut(body, []byte("\r\n"))
		if !found {
			return nil, nil, false
		}
		head, signature, _ := strings.Cut(string(line), ";chunk-signature=")
		size, err := strconv.ParseUint(head, 16, 31)
		if err != nil {
			return nil, nil, false
		}
		if size == 0 {
			chunks = append(chunks, chunk{signature: signature})
			body = rest
			break
		}
		if uint64(len(rest)) < size+2 || string(rest[size:size+2]) != "\r\n" {
			return nil, nil, false
		}
		chunks = append(chunks, chunk{data: rest[:size], signature: signature})
		body = rest[size+2:]
	}
	for line := range strings.SplitSeq(string(body), "\r\n") {
		if line != "" {
			trailer = append(trailer, line)
		}
	}
	return chunks, trailer, true
}

// verifyChunks checks every chunk's signature, each of which covers the one
// before it, and the trailer's.
func (s *signedRequest) verifyChunks(key []byte, payload string) string {
	chunks, trailer, ok := parseChunks(s.body)
	if !ok {
		return "the body is not aws-chunked"
	}
	switch payload {
	case "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
		return ""
	case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER":
	default:
		return "payload mode " + payload + " is unknown"
	}
	previous := s.signature
	for _, c := range chunks {
		text := s.chunkStringToSign("AWS4-HMAC-SHA256-PAYLOAD", previous, hexHash(nil)+"\n"+hexHash(c.data))
		if !s.matches(key, text, c.signature) {
			return "a chunk's signature does not match"
		}
		previous = c.signature
	}
	if !strings.HasSuffix(payload, "-TRAILER") {
		return ""
	}
	var canonical strings.Builder
	signature := ""
	for _, line := range trailer {
		if v, found := strings.CutPrefix(line, "x-amz-trailer-signature:"); found {
			signature = v
			continue
		}
		canonical.WriteString(line + "\n")
	}
	text := s.chunkStringToSign("AWS4-HMAC-SHA256-TRAILER", previous, hexHash([]byte(canonical.String())))
	if !s.matches(key, text, signature) {
		return "the trailer's signature does not match"
	}
	return ""
}

func (s *signedRequest) chunkStringToSign(kind, previous, hashes string) string {
	return strings.Join([]string{
		kind, s.date.Format(dateFormat), strings.Join(s.scope, "/"), previous, hashes,
	}, "\n")
}
