// Package sigv4 checks the AWS Signature Version 4 (or 4A) of a request and signs the
// same request anew with other keys, in the form in which it was signed: in the
// Authorization header or in the query, with the same scope, date and headers.
//
// Both go over one canonicalisation of the request as it is sent, byte for byte. A
// signer for clients, such as that of the AWS SDK, chooses the headers and escapes the
// path itself, and so signs another request than the one that came.
//
// The rules are those of
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
// and, for S3 and its chunks,
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html.
//
// # Headers which net/http takes out
//
// A client may sign any header. [http.Server] removes some from a request's map, and a
// caller puts them back for [Signature.Check]: Transfer-Encoding from
// [http.Request.TransferEncoding], Trailer from the names in [http.Request.Trailer].
// Host and Content-Length are taken from [Request]'s fields. [Signature.Renew] signs the
// headers that the request then has, so a header of one hop may be left out there.
package sigv4

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Request is what a signature covers of an HTTP request, besides its body.
type Request struct {
	Method string
	// Path and Query are as sent, byte for byte; Query without the "?".
	Path, Query string
	// Host is what the Host header says, with the port if it has one.
	Host string
	// Header has canonical names, as that of [http.Request].
	Header http.Header
	// Length is that of the body as sent, in bytes, -1 if unknown.
	Length int64
}

// The algorithms.
const (
	symmetric  = "AWS4-HMAC-SHA256"
	asymmetric = "AWS4-ECDSA-P256-SHA256"
)

// What X-Amz-Content-Sha256 can say in place of a hash.
const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	streaming       = "STREAMING-"
)

const (
	timeFormat = "20060102T150405Z"
	dateFormat = "20060102"
)

// Signature is what a request says of its signature.
type Signature struct {
	// KeyID is the access key ID.
	KeyID string
	// Date (YYYYMMDD), Region and Service are the scope. Region is "" if Asymmetric,
	// which has the RegionSet: names, or patterns with *, separated by commas. What
	// Region is after Check, Renew signs for.
	Date, Region, Service string
	RegionSet             string
	// Asymmetric tells Signature Version 4A.
	Asymmetric bool
	// Time is when the request was signed, by the client's clock.
	Time time.Time
	// Presigned tells that the signature is in the query. It then holds for Expires
	// since Time.
	Presigned bool
	Expires   time.Duration
	// Token is the session token, "" if there is none.
	Token string
	// Payload is X-Amz-Content-Sha256: the hash of the body in hex, or what stands in
	// its place. "" if the request does not say.
	Payload string
	// SignedHeaders are in lower case and sorted.
	SignedHeaders []string

	signature string // in hex
	form      form   // that Check found
	checked   string // the Region that it saw
}

// Error is a refusal as an AWS service would word it.
type Error struct {
	Code, Message string
	Status        int // of HTTP
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func refuse(status int, code, message string) *Error {
	return &Error{Code: code, Message: message, Status: status}
}

// Parse reads the signature of a request. It is nil if the request bears none of
// Version 4 or 4A: it may be anonymous, or authenticated in another way.
//
// A malformed signature is an *[Error], with what could be read of it in the
// Signature: KeyID tells whose it would be, if it is not "".
func Parse(r *Request) (*Signature, error) {
	if authorization := r.Header.Get("Authorization"); strings.HasPrefix(authorization, "AWS4-") {
		s := &Signature{}
		return s, s.parseHeader(r, authorization)
	}
	if !strings.Contains(r.Query, "Amz") {
		return nil, nil
	}
	query := parameters(r.Query)
	if algorithm, ok := query.get("X-Amz-Algorithm"); !ok || !strings.HasPrefix(algorithm, "AWS4-") {
		return nil, nil
	}
	s := &Signature{Presigned: true}
	return s, s.parseQuery(r, query)
}

func (s *Signature) parseHeader(r *Request, authorization string) error {
	algorithm, rest, _ := strings.Cut(authorization, " ")
	values := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			continue
		}
		values[name] = value
	}
	malformed := func(message string) *Error {
		if s.s3() {
			return refuse(http.StatusBadRequest, "AuthorizationHeaderMalformed", "The authorization header is malformed; "+message)
		}
		return refuse(http.StatusBadRequest, "IncompleteSignature", message)
	}
	if err := s.parseScope(algorithm, values["Credential"]); err != "" {
		return malformed(err)
	}
	for _, name := range []string{"SignedHeaders", "Signature"} {
		if values[name] == "" {
			return malformed("Authorization header requires '" + name + "' parameter.")
		}
	}
	s.signature = values["Signature"]
	s.Token = r.Header.Get("X-Amz-Security-Token")
	s.Payload = r.Header.Get("X-Amz-Content-Sha256")
	s.RegionSet = s.regionSet(r)
	if err := s.parseSigned(values["SignedHeaders"]); err != "" {
		return malformed(err)
	}
	date := r.Header.Get("X-Amz-Date")
	if date == "" {
		date = r.Header.Get("Date")
	}
	if date == "" {
		return malformed("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	at, err := parseTime(date)
	if err != nil {
		return malformed("Date must be in ISO-8601 'basic format'. Got '" + date + "'. See http://en.wikipedia.org/wiki/ISO_8601")
	}
	s.Time = at
	return s.supported()
}

func (s *Signature) parseQuery(r *Request, query query) error {
	values := map[string]string{}
	for _, p := range query {
		if name, value := p.decoded(); strings.HasPrefix(name, "X-Amz-") {
			if _, twice := values[name]; !twice {
				values[name] = value
			}
		}
	}
	malformed := func(message string) *Error {
		return refuse(http.StatusBadRequest, "AuthorizationQueryParametersError", message)
	}
	if err := s.parseScope(values["X-Amz-Algorithm"], values["X-Amz-Credential"]); err != "" {
		return malformed(err)
	}
	required := []string{"X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders"}
	if s.s3() {
		required = append(required, "X-Amz-Expires")
	}
	for _, name := range required {
		if values[name] == "" {
			return malformed("Query-string authentication version 4 requires the " + name + " parameter.")
		}
	}
	s.signature = values["X-Amz-Signature"]
	s.Token = values["X-Amz-Security-Token"]
	s.RegionSet = s.regionSet(r)
	s.Payload = values["X-Amz-Content-Sha256"]
	if s.Payload == "" {
		s.Payload = r.Header.Get("X-Amz-Content-Sha256")
	}
	if err := s.parseSigned(values["X-Amz-SignedHeaders"]); err != "" {
		return malformed(err)
	}
	at, err := time.Parse(timeFormat, values["X-Amz-Date"])
	if err != nil {
		return malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
	}
	s.Time = at
	s.Expires = skew // a service other than S3 has a default
	if text := values["X-Amz-Expires"]; text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil:
			return malformed("X-Amz-Expires should be a number")
		case seconds < 0:
			return malformed("X-Amz-Expires must be non-negative")
		case seconds > 7*24*60*60:
			return malformed("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
		}
		s.Expires = time.Duration(seconds) * time.Second
	}
	return s.supported()
}

// parseScope reads KEY/DATE/REGION/SERVICE/aws4_request; 4A has no region. A key may
// hold slashes with other makers' servers.
func (s *Signature) parseScope(algorithm, credential string) (malformed string) {
	if credential == "" {
		return "Authorization requires the 'Credential' parameter."
	}
	parts := strings.Split(credential, "/")
	n := 4
	if algorithm == asymmetric {
		n = 3
	}
	if len(parts) <= n {
		return "Credential must have exactly " + strconv.Itoa(n+1) + " slash-delimited elements, e.g. keyid/date/region/service/term, got '" + credential + "'"
	}
	scope := parts[len(parts)-n:]
	s.KeyID = strings.Join(parts[:len(parts)-n], "/")
	s.Date, s.Service = scope[0], scope[n-2]
	s.Asymmetric = algorithm == asymmetric
	if !s.Asymmetric {
		s.Region = scope[1]
	}
	switch {
	case algorithm != symmetric && algorithm != asymmetric:
		return "Unsupported AWS 'algorithm': '" + algorithm + "'."
	case scope[n-1] != "aws4_request":
		return "Credential should be scoped with a valid terminator: 'aws4_request', not '" + scope[n-1] + "'."
	case !digits(s.Date, len(dateFormat)):
		return "Credential should be scoped to a valid date in the form yyyymmdd, not '" + s.Date + "'."
	}
	return ""
}

// regionSet is all that the request says of regions: which of several lines a service
// takes is not known.
func (s *Signature) regionSet(r *Request) string {
	if !s.Asymmetric {
		return ""
	}
	all := slices.Clone(r.Header.Values("X-Amz-Region-Set"))
	for _, p := range parameters(r.Query) {
		if name, value := p.decoded(); name == "X-Amz-Region-Set" {
			all = append(all, value)
		}
	}
	return strings.Join(all, ",")
}

func digits(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789") == ""
}

func (s *Signature) parseSigned(list string) (malformed string) {
	s.SignedHeaders = strings.Split(strings.ToLower(list), ";")
	slices.Sort(s.SignedHeaders)
	s.SignedHeaders = slices.Compact(s.SignedHeaders)
	if !slices.Contains(s.SignedHeaders, "host") {
		return "'Host' must be a 'SignedHeader' in the AWS Authorization."
	}
	return ""
}

// supported refuses the kinds of stream that are unknown: their parts could be neither
// checked nor signed.
func (s *Signature) supported() error {
	if !strings.HasPrefix(s.Payload, streaming) || s.Payload == unsignedTrailer || s.chunked() || s.events() {
		return nil
	}
	return refuse(http.StatusNotImplemented, "NotImplemented", "A body signed as "+s.Payload+" is not supported.")
}

func parseTime(text string) (time.Time, error) {
	for _, format := range []string{timeFormat, http.TimeFormat, time.RFC3339, time.RFC1123Z} {
		if t, err := time.Parse(format, text); err == nil {
			return t.UTC(), nil
		}
	}
	return http.ParseTime(text)
}

// s3 tells whether the service has the rules of S3.
func (s *Signature) s3() bool {
	switch s.Service {
	case "s3", "s3express", "s3-outposts", "s3-object-lambda":
		return true
	}
	return false
}

// NeedsBody tells whether the signature covers the hash of the body without the client
// having said it in a header: the body has to be read to check the signature.
func (s *Signature) NeedsBody() bool { return s.payload("") == "" }

// payload is the last line of the canonical request.
func (s *Signature) payload(bodyHash string) string {
	if s.Payload != "" {
		return s.Payload
	}
	if s.Presigned && s.s3() {
		return unsignedPayload
	}
	return bodyHash
}

// skew is how far the client's clock may be off, or a request under way. It is that of
// S3; services that allow less see the time as well and judge themselves.
const skew = 15 * time.Minute

// Fresh tells with an *[Error] if the request is older, or signed for later, than AWS
// takes it.
func (s *Signature) Fresh(now time.Time) error {
	text := func(t time.Time) string { return t.UTC().Format(timeFormat) }
	life := skew
	if s.Presigned {
		life = s.Expires
	}
	expired, early := now.Sub(s.Time) > life, s.Time.Sub(now) > skew
	switch {
	case !expired && !early:
		return nil
	case s.s3() && !s.Presigned:
		return refuse(http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
	case s.s3() && expired:
		return refuse(http.StatusForbidden, "AccessDenied", "Request has expired")
	case s.s3():
		return refuse(http.StatusForbidden, "AccessDenied", "Request is not valid yet")
	case expired:
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "Signature expired: "+text(s.Time)+" is now earlier than "+text(now.Add(-life))+" ("+text(now)+" - "+minutes(life)+")")
	}
	return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "Signature not yet current: "+text(s.Time)+" is still later than "+text(now.Add(skew))+" ("+text(now)+" + "+minutes(skew)+")")
}

func minutes(d time.Duration) string {
	return strconv.FormatFloat(d.Minutes(), 'f', -1, 64) + " min."
}
