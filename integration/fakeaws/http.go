package fakeaws

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds a request; the clients of the tests upload no big objects.
const maxBody = 64 << 20

// answer is what a protocol says to a call: a body, or an error that the
// protocol puts in its own words.
type answer struct {
	status int
	body   []byte
	header map[string]string // besides those that every answer has
	code   string            // of an error, "" if the call was accepted
	reason string
}

// protocol is how one service is spoken.
type protocol interface {
	// action names the call.
	action() string
	// needsSignature is false for the few calls that bring their own proof.
	needsSignature() bool
	// refuse words a refusal; throttled and unavailable words a fault.
	refuse(v verdict, reason string) answer
	fail(k Kind) answer
	// do carries out a call that was accepted for id (nil if unsigned).
	do(s *Server, id *identity) answer
	contentType() string
	params() url.Values
}

// ServeHTTP answers one call. It implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p, service := recognise(r, body)
	c := Call{
		Service: service, Action: p.action(), Agent: r.UserAgent(), Params: p.params(),
		Proto: r.Proto, Host: r.Host, URI: r.RequestURI, Payload: r.Header.Get("X-Amz-Content-Sha256"),
	}
	signed, parseErr := parseSigned(r, body)
	if signed != nil {
		c.KeyID = signed.keyID
	}
	kind, changed := s.fault(c.Action)
	if s.interfere(w, r, kind, changed, c) {
		return
	}
	a := s.decide(p, signed, parseErr, kind)
	c.Accepted, c.Code, c.Reason = a.code == "", a.code, a.reason
	if kind == Half {
		c.Accepted, c.Reason = false, "half an answer"
	}
	s.record(c)
	s.hold(r, c.Action)

	h := w.Header()
	h.Set("Content-Type", p.contentType())
	for name, value := range a.header {
		h.Set(name, value)
	}
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	h.Set("Date", s.Now().UTC().Format(http.TimeFormat))
	h.Set("X-Amzn-Requestid", requestID)
	s.send(w, r, kind, a.status, a.body)
}

// requestID is the same for every answer: nothing depends on it.
const requestID = "00000000-0000-4000-8000-000000000000"

func (s *Server) decide(p protocol, signed *signedRequest, parseErr error, kind Kind) answer {
	switch kind {
	case Throttle, Unavailable:
		return p.fail(kind)
	}
	if parseErr != nil {
		return p.refuse(unsigned, parseErr.Error())
	}
	var id *identity
	if p.needsSignature() {
		var v verdict
		var why string
		if id, v, why = s.judge(signed); v != accepted {
			return p.refuse(v, why)
		}
	}
	if kind == Denied {
		return p.refuse(denied, "denied by the test")
	}
	return p.do(s, id)
}

// recognise tells the services apart as a shared endpoint must: by the header
// of the JSON protocol, by the form of the query protocol, else S3.
func recognise(r *http.Request, body []byte) (protocol, string) {
	if target := r.Header.Get("X-Amz-Target"); strings.HasPrefix(target, "DynamoDB_20120810.") {
		return dynamoDB{target: strings.TrimPrefix(target, "DynamoDB_20120810.")}, "dynamodb"
	}
	if r.Method == http.MethodPost && r.URL.Path == "/" &&
		strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			form = url.Values{}
		}
		return sts{form: form}, "sts"
	}
	if r.Method == http.MethodGet && r.URL.Path == "/" && r.URL.Query().Has("Action") { // presigned
		return sts{form: r.URL.Query()}, "sts"
	}
	path := r.URL.Path
	if bucket := bucketOf(r.Host); bucket != "" {
		path = "/" + bucket + path
	}
	return s3{request: r, path: path, body: body}, "s3"
}

// stamp is the form of a time in STS's and S3's answers.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
