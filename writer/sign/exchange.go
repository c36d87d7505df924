package sign

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/writer/sign/services"
	"brs-exec.example/brs-exec/writer/sign/sigv4"
)

const (
	wayProxy    = "proxy"
	wayEndpoint = "endpoint"
)

// exchange is a request and what becomes of it.
type exchange struct {
	way  string
	path string  // with the query, as sent
	to   url.URL // where it goes: the scheme and the host, and in the endpoint way the path of the user's endpoint

	sent      *sigv4.Request
	signature *sigv4.Signature // nil: none
	service   string           // "" if that is not known
	region    string           // of the client's signature
	profile   string           // of the local keys that it was signed with
	secret    string           // that it was signed with; "" if that is not known
	keys      aws.Credentials  // to sign it with; zero: it goes on unchanged
	spooled   *spooled         // its body, if that had to be read

	moved bool // to another host than the client asked for, in the proxy way

	start          time.Time
	refused        string // the code
	status         int
	bytesSent      atomic.Int64
	bytesReceived  atomic.Int64
	errorOfReading atomic.Pointer[error]
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

func fault(code, message string, status int) *sigv4.Error {
	return &sigv4.Error{Code: code, Message: message, Status: status}
}

// serve sends a request on and its answer back, or refuses it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, e *exchange) {
	e.start = time.Now()
	answer := &answerWriter{ResponseWriter: w, e: e}
	defer s.report(r, e)
	defer func() {
		if e.spooled != nil {
			e.spooled.close()
		}
	}()
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, e))
	if err := s.prepare(r, e); err != nil {
		s.refuse(answer, r, e, err)
		return
	}
	if u, err := url.Parse(s.o.Upstream); err == nil && u.Host != "" && services.Ends(e.to.Hostname()) {
		e.to = *u
	}
	if r.ProtoMajor == 1 {
		http.NewResponseController(w).EnableFullDuplex() // an answer may begin before the request has ended
	}
	r.Body = io.NopCloser(r.Body) // to close it waits for a client that is silent, and the end of an early answer would wait with it
	s.forward.ServeHTTP(answer, r)
}

// prepare checks a request, and finds out where it goes and what it is signed with.
func (s *Server) prepare(r *http.Request, e *exchange) error {
	e.sent = asSent(r, e.path)
	signature, malformed := sigv4.Parse(e.sent)
	if signature != nil {
		e.signature, e.service, e.region = signature, signature.Service, regionOf(signature)
	}
	known := s.identify(e)
	if malformed != nil && (known || e.way == wayEndpoint) {
		return malformed
	}
	if l := s.keys.find(version2Key(e.sent)); l != nil {
		e.service = "s3"
		s.lines.once("a request was refused, as it is signed with Signature Version 2, in which local keys are of no use", "hint", version2Hint)
		return fault("InvalidRequest", "brs-exec: the request is signed with Signature Version 2 and local keys, and needs Version 4: "+version2Hint, http.StatusBadRequest)
	}
	scope := ""
	if e.way == wayEndpoint {
		var err error
		if scope, err = s.route(r, e, known); err != nil {
			return err
		}
	}
	if signature != nil {
		region := regionOf(signature)
		if scope != "" && !signature.Asymmetric {
			region = scope
		}
		if !s.o.Only.Allow(signature.Service, region) {
			s.lines.once("a request was refused, as --sign-only does not allow its service and region", "signed for", signature.Service+"@"+region)
			return fault("AccessDenied", "brs-exec: --sign-only does not allow "+signature.Service+" in "+region, http.StatusForbidden)
		}
	}
	if !known {
		return nil
	}
	if err := s.checkHost(r, e); err != nil {
		return err
	}
	if err := s.check(r, e); err != nil {
		return err
	}
	if scope != "" && !signature.Asymmetric {
		e.signature.Region = scope
	}
	e.moved = s.follow(e)
	return nil
}

// version2Hint is what has botocore sign URLs of S3 with Version 4 in the older regions, too.
const version2Hint = "of boto3 and the AWS CLI 1 set signature_version = s3v4 below s3 = in the profile"

// version2Key returns the key ID of a request to S3 that is signed with Signature Version 2, "" if it is not.
func version2Key(r *sigv4.Request) string {
	if id, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS "); ok {
		id, _, _ = strings.Cut(id, ":")
		return id
	}
	if strings.Contains(r.Query, "AWSAccessKeyId=") {
		query, _ := url.ParseQuery(r.Query)
		return query.Get("AWSAccessKeyId")
	}
	return ""
}

// checkHost refuses to sign a request of the proxy way for a server that the command was not started to use. A signature
// covers the Host header: one that names another host than that which gets the request would work at the other one.
func (s *Server) checkHost(r *http.Request, e *exchange) error {
	if e.way != wayProxy {
		return nil
	}
	host, name := displayHost(&e.to), e.to.Hostname()
	if !s.signs(e.to.Scheme, name, e.to.Port()) {
		s.lines.once("a request with local keys was refused, as it goes to a server other than AWS's", "host", host)
		return fault("AccessDenied", "brs-exec: "+host+" is no host of AWS: --sign-host "+host+" has requests to it signed", http.StatusForbidden)
	}
	if named, _ := splitHost(r.Host, ""); named != name && (services.Ends(named) || services.Ends(name)) {
		s.lines.once("a request with local keys was refused, as its Host header names another host than the one that it goes to", "host", host, "Host", r.Host)
		return fault("AccessDenied", "brs-exec: the request goes to "+host+", and its Host header says "+r.Host, http.StatusForbidden)
	}
	return nil
}

// asSent is what the signature of a request covers.
func asSent(r *http.Request, uri string) *sigv4.Request {
	path, query, _ := strings.Cut(uri, "?")
	h := r.Header
	if len(r.TransferEncoding) > 0 || len(r.Trailer) > 0 { // net/http has taken these out
		h = h.Clone()
		if len(r.TransferEncoding) > 0 {
			h["Transfer-Encoding"] = r.TransferEncoding
		}
		if len(r.Trailer) > 0 {
			h.Set("Trailer", strings.Join(slices.Sorted(maps.Keys(r.Trailer)), ","))
		}
	}
	return &sigv4.Request{Method: r.Method, Path: path, Query: query, Host: r.Host, Header: h, Length: r.ContentLength}
}

func regionOf(s *sigv4.Signature) string {
	if s.Asymmetric {
		return s.RegionSet
	}
	return s.Region
}

// identify finds the keys of a signature, and tells whether they are known: local ones or, in the endpoint way, learned ones.
func (s *Server) identify(e *exchange) bool {
	if e.signature == nil || e.signature.KeyID == "" {
		return false
	}
	if l := s.keys.find(e.signature.KeyID); l != nil {
		e.profile, e.secret = l.profile, l.SecretAccessKey
		return true
	}
	if e.way != wayEndpoint {
		return false
	}
	c, ok := s.keys.learned.find(e.signature.KeyID)
	e.secret, e.keys = c.SecretAccessKey, c
	return ok
}

// check judges a signature as AWS would, and gets what the request is signed with anew.
func (s *Server) check(r *http.Request, e *exchange) error {
	if err := s.checkToken(e); err != nil {
		return err
	}
	if err := e.signature.Fresh(s.clocks.now(&e.to)); err != nil {
		return err
	}
	hash := ""
	if e.signature.NeedsBody() {
		var err error
		if e.spooled, err = spool(r.Body, r.ContentLength); err != nil {
			return s.bodyFault(err)
		}
		hash = e.spooled.hash
	}
	if err := e.signature.Check(e.sent, e.secret, hash); err != nil {
		return err
	}
	if e.keys.HasKeys() { // learned
		return nil
	}
	var err error
	e.keys, err = s.keys.of(r.Context(), e.profile)
	if errors.Is(err, errNoCredentials) {
		return fault("ServiceUnavailable", "brs-exec: "+err.Error(), http.StatusServiceUnavailable)
	}
	return err
}

// checkToken judges the session token, which is not part of what a secret key signs.
func (s *Server) checkToken(e *exchange) error {
	l := s.keys.find(e.signature.KeyID)
	if l == nil {
		return nil // the service judges a learned one
	}
	if e.signature.Token != l.SessionToken {
		return fault("InvalidClientTokenId", "The security token included in the request is invalid.", http.StatusForbidden)
	}
	if l.CanExpire && !time.Now().Round(0).Before(l.Expires) {
		return fault("ExpiredToken", "The security token included in the request is expired", http.StatusForbidden)
	}
	return nil
}

// bodyFault words why a body could not be read.
func (s *Server) bodyFault(err error) error {
	if f := (*sigv4.Error)(nil); errors.As(err, &f) { // a part of it does not match
		return f
	}
	if f := (fileError{}); errors.As(err, &f) {
		s.lines.once("the body of a request cannot be kept, which is necessary to sign it", "err", f.error)
		return fault("ServiceUnavailable", "brs-exec: the body cannot be kept: "+f.Error(), http.StatusServiceUnavailable)
	}
	return fault("IncompleteBody", "brs-exec: the body cannot be read: "+err.Error(), http.StatusBadRequest)
}

// report tells of a request that has ended.
func (s *Server) report(r *http.Request, e *exchange) {
	if s.o.Notify == nil {
		return
	}
	one := Request{
		Time: e.start, Took: time.Since(e.start), Way: e.way, Profile: e.profile, Service: e.service, Host: displayHost(&e.to), Method: r.Method,
		Status: e.status, Sent: e.bytesSent.Load(), Received: e.bytesReceived.Load(), Refused: e.refused,
	}
	if e.signature != nil {
		one.KeyID, one.Region = e.signature.KeyID, e.region
	}
	one.Operation = services.Operation(e.service, r)
	s.o.Notify(one)
}

// displayHost is the host of a URL, with a port that is not the scheme's.
func displayHost(u *url.URL) string {
	if usual := map[string]string{"http": "80", "https": "443"}[u.Scheme]; u.Port() == usual {
		return u.Hostname()
	}
	return u.Host
}

// answerWriter notes the status, and adds no header to an answer of a service.
type answerWriter struct {
	http.ResponseWriter
	e *exchange
}

// Unwrap is for http.ResponseController.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *answerWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.e.status = status
		for _, name := range []string{"Date", "Content-Type"} {
			if _, ok := w.Header()[name]; !ok {
				w.Header()[name] = nil // net/http adds none then
			}
		}
	}
	w.ResponseWriter.WriteHeader(status)
}
