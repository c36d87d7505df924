package fakeaws

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	dateFormat = "20060102T150405Z"
)

// signedRequest is a request with its Authorization header, or what its query has instead, taken apart, and
// verify recomputes the signature as AWS's general reference ("Create a signed
// AWS API request") and S3's API reference ("Authenticating Requests") say.
// It is written by hand on purpose: with the SDK's signer on both ends, an
// error in it could not be seen.
type signedRequest struct {
	http          *http.Request
	body          []byte
	keyID         string
	date          time.Time
	scope         []string // day, region, service, "aws4_request"
	signedHeaders []string
	signature     string
	token         string
	presigned     time.Duration // how long it is valid, 0 for a signature in the header
}

// parseSigned returns nil and no error for a request without a signature.
func parseSigned(r *http.Request, body []byte) (*signedRequest, error) {
	auth := r.Header.Get("Authorization")
	if query := r.URL.Query(); auth == "" && query.Has("X-Amz-Signature") {
		return parsePresigned(r, body, query)
	}
	if auth == "" {
		return nil, nil
	}
	kind, rest, _ := strings.Cut(auth, " ")
	if kind != algorithm {
		return nil, fmt.Errorf("authorization is %s, not %s", kind, algorithm)
	}
	s := &signedRequest{http: r, body: body, token: r.Header.Get("X-Amz-Security-Token")}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			fields := strings.Split(value, "/")
			if len(fields) != 5 || fields[4] != "aws4_request" {
				return nil, errors.New("credential scope is malformed")
			}
			s.keyID, s.scope = fields[0], fields[1:]
		case "SignedHeaders":
			s.signedHeaders = strings.Split(value, ";")
		case "Signature":
			s.signature = value
		}
	}
	if s.scope == nil || s.signedHeaders == nil || s.signature == "" {
		return nil, errors.New("authorization lacks a part")
	}
	var err error
	if s.date, err = time.Parse(dateFormat, r.Header.Get("X-Amz-Date")); err != nil {
		return nil, errors.New("x-amz-date is malformed")
	}
	return s, nil
}

// parsePresigned reads the form of the signature that a URL has.
func parsePresigned(r *http.Request, body []byte, query url.Values) (*signedRequest, error) {
	if kind := query.Get("X-Amz-Algorithm"); kind != algorithm {
		return nil, fmt.Errorf("X-Amz-Algorithm is %s, not %s", kind, algorithm)
	}
	fields := strings.Split(query.Get("X-Amz-Credential"), "/")
	if len(fields) != 5 || fields[4] != "aws4_request" {
		return nil, errors.New("credential scope is malformed")
	}
	s := &signedRequest{
		http: r, body: body, keyID: fields[0], scope: fields[1:], token: query.Get("X-Amz-Security-Token"),
		signedHeaders: strings.Split(query.Get("X-Amz-SignedHeaders"), ";"), signature: query.Get("X-Amz-Signature"),
	}
	seconds, err := strconv.Atoi(query.Get("X-Amz-Expires"))
	if err != nil || seconds < 1 || seconds > 7*24*3600 {
		return nil, errors.New("X-Amz-Expires is malformed")
	}
	s.presigned = time.Duration(seconds) * time.Second
	if s.date, err = time.Parse(dateFormat, query.Get("X-Amz-Date")); err != nil {
		return nil, errors.New("X-Amz-Date is malformed")
	}
	return s, nil
}

func (s *signedRequest) service() string { return s.scope[2] }

// verify returns why the signature is not that of secret, or "".
func (s *signedRequest) verify(secret string) string {
	if s.date.Format("20060102") != s.scope[0] {
		return "the scope's day is not that of x-amz-date"
	}
	if why := s.fits(s.http.Host); why != "" {
		return why
	}
	// What is not signed could be replaced on the way; AWS insists on these.
	for _, name := range s.mustSign() {
		if !slices.Contains(s.signedHeaders, name) {
			return "header " + name + " is not signed"
		}
	}
	if !slices.IsSorted(s.signedHeaders) {
		return "signed headers are not sorted"
	}
	payload, why := s.payloadHash()
	if why != "" {
		return why
	}
	key := signingKey(secret, s.scope)
	if !s.matches(key, s.stringToSign(payload), s.signature) {
		return "signature does not match"
	}
	if strings.HasPrefix(payload, "STREAMING-") {
		return s.verifyChunks(key, payload)
	}
	return ""
}

func (s *signedRequest) mustSign() []string {
	names := []string{"host"}
	for name := range s.http.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && name != "x-amzn-trace-id" {
			names = append(names, name)
		}
	}
	return names
}

// payloadHash is the last line of the canonical request. S3 takes it from the
// header, which may also say that the body is unsigned or signed chunk by
// chunk; every other service takes the body's own.
func (s *signedRequest) payloadHash() (hash, why string) {
	declared := s.http.Header.Get("X-Amz-Content-Sha256")
	switch {
	case s.service() == "s3" && declared == "" && s.presigned > 0:
		return "UNSIGNED-PAYLOAD", ""
	case s.service() == "s3" && declared == "":
		return "", "header x-amz-content-sha256 is missing"
	case s.service() == "s3" && (declared == "UNSIGNED-PAYLOAD" || strings.HasPrefix(declared, "STREAMING-")):
		return declared, ""
	}
	actual := hexHash(s.body)
	if declared != "" && declared != actual {
		return "", "the body is not the one that x-amz-content-sha256 names"
	}
	return actual, ""
}

func (s *signedRequest) stringToSign(payload string) string {
	canonical := strings.Join([]string{
		s.http.Method,
		s.canonicalPath(),
		s.canonicalQuery(),
		s.canonicalHeaders(),
		strings.Join(s.signedHeaders, ";"),
		payload,
	}, "\n")
	return strings.Join([]string{
		algorithm,
		s.date.Format(dateFormat),
		strings.Join(s.scope, "/"),
		hexHash([]byte(canonical)),
	}, "\n")
}

// canonicalPath encodes the path as sent once more, without its dot segments and repeated
// slashes, but for S3, whose object keys are any text and encoded once only.
func (s *signedRequest) canonicalPath() string {
	sent, _, _ := strings.Cut(s.http.RequestURI, "?")
	if s.http.RequestURI == "" { // of a test, never of a server
		sent = s.http.URL.EscapedPath()
	}
	if s.service() == "s3" {
		parts := strings.Split(sent, "/")
		for i, part := range parts {
			parts[i] = recode(part)
		}
		return cmp.Or(strings.Join(parts, "/"), "/")
	}
	clean := path.Clean("/" + sent)
	if strings.HasSuffix(sent, "/") && clean != "/" {
		clean += "/"
	}
	return strings.ReplaceAll(escape(clean), "%2F", "/")
}

func (s *signedRequest) canonicalQuery() string {
	var pairs [][2]string // sorted by name, which may be the beginning of another, and then by value
	for part := range strings.SplitSeq(s.http.URL.RawQuery, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		if s.presigned > 0 && name == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, [2]string{recode(name), recode(value)})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	texts := make([]string, len(pairs))
	for i, pair := range pairs {
		texts[i] = pair[0] + "=" + pair[1]
	}
	return strings.Join(texts, "&")
}

// canonicalHeaders ends with the empty line that the format wants.
func (s *signedRequest) canonicalHeaders() string {
	var b strings.Builder
	for _, name := range s.signedHeaders {
		values := s.http.Header.Values(name)
		switch name {
		case "host":
			values = []string{s.http.Host}
		case "content-length":
			// net/http keeps it apart from the other headers.
			values = []string{strconv.FormatInt(s.http.ContentLength, 10)}
		case "transfer-encoding":
			values = s.http.TransferEncoding
		}
		trimmed := make([]string, len(values))
		for i, v := range values {
			trimmed[i] = strings.Join(strings.Fields(v), " ")
		}
		b.WriteString(name + ":" + strings.Join(trimmed, ",") + "\n")
	}
	return b.String()
}

func (s *signedRequest) matches(key []byte, stringToSign, signature string) bool {
	return hmac.Equal([]byte(hex.EncodeToString(mac(key, stringToSign))), []byte(signature))
}

func signingKey(secret string, scope []string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range scope {
		key = mac(key, part)
	}
	return key
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexHash(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// recode decodes what a client sent and encodes it in the one canonical way.
func recode(text string) string {
	decoded, err := url.PathUnescape(text)
	if err != nil {
		return text
	}
	return escape(decoded)
}

// escape is RFC 3986's percent-encoding of all but the unreserved characters.
func escape(text string) string {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; strings.IndexByte(unreserved, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
