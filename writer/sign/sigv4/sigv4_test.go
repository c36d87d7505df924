package sigv4

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"
)

var (
	local   = aws.Credentials{AccessKeyID: "AKIALOCALLOCALLOCAL0", SecretAccessKey: "local/secret+key"}
	ending  = aws.Credentials{AccessKeyID: "ASIALOCALLOCALLOCAL1", SecretAccessKey: "ending/secret+key", SessionToken: "local/token+=="}
	real    = aws.Credentials{AccessKeyID: "ASIAREALREALREALREAL", SecretAccessKey: "real/secret+key", SessionToken: "real/token+=="}
	forever = aws.Credentials{AccessKeyID: "AKIAREALREALREALREAL", SecretAccessKey: "forever/secret+key"}

	signedAt = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
)

// received is a client's request as the listener gets it.
func received(t testing.TB, r *http.Request) *Request {
	t.Helper()
	uri := r.URL.RequestURI()
	path, query, _ := strings.Cut(uri, "?")
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	return &Request{Method: r.Method, Path: path, Query: query, Host: host, Header: r.Header.Clone(), Length: r.ContentLength}
}

func newRequest(t testing.TB, method, rawURL string, header http.Header, length int64) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, rawURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	r.ContentLength = length
	return r
}

// signSDK signs as the SDK for Go does; payload is the hash given to it.
func signSDK(t testing.TB, r *http.Request, keys aws.Credentials, service, payload string, presign bool) *Request {
	t.Helper()
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	if !presign {
		if err := signer.SignHTTP(t.Context(), keys, r, payload, service, "us-east-1", signedAt); err != nil {
			t.Fatal(err)
		}
		return received(t, r)
	}
	uri, signed, err := signer.PresignHTTP(t.Context(), keys, r, payload, service, "us-east-1", signedAt)
	if err != nil {
		t.Fatal(err)
	}
	out := newRequest(t, r.Method, uri, signed, r.ContentLength)
	out.Header.Del("Host")
	out.Header.Del("Content-Length")
	return received(t, out)
}

func parse(t testing.TB, r *Request) *Signature {
	t.Helper()
	s, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if s == nil {
		t.Fatal("no signature was found")
	}
	return s
}

// TestSDK has the SDK's signer sign requests of many shapes with local keys, and sign
// them again with real ones: what Renew makes of the former is the latter.
func TestSDK(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	word := func() string {
		var b strings.Builder
		for range random.IntN(6) {
			b.WriteString(pick("a", "B", "7", "-", "._~", "%20", "%2F", "%2f", "%2B", "+", ":", "@", "$", "&", "=", "!*'()", ",", "%E1%88%B4", "%25", ";"))
		}
		return b.String()
	}
	for range 1000 {
		service := pick("s3", "execute-api", "lambda", "sts")
		rawURL := "https://" + pick("example.amazonaws.com", "bucket.s3.us-east-1.amazonaws.com:8443")
		for range 1 + random.IntN(4) {
			rawURL += "/" + word()
		}
		if service == "s3" && random.IntN(3) == 0 {
			rawURL += pick("//", "/../x", "/./y", "/.")
		}
		var parameters []string
		for range random.IntN(4) {
			p := url.QueryEscape(pick("acl", "a b", "ü", "prefix", "A", "a"))
			if random.IntN(4) > 0 {
				p += "=" + url.QueryEscape(pick("", "b c", "x/y", "+", "~", "*", "ü", "="))
			}
			parameters = append(parameters, p)
		}
		if len(parameters) > 0 {
			rawURL += "?" + strings.Join(parameters, "&")
		}
		header := http.Header{}
		for range random.IntN(4) {
			header.Add(pick("X-Amz-Meta-A", "Content-Type", "X-Amz-Acl", "Cache-Control", "Range"), pick("", " a  b ", "c", "d,e", "ä"))
		}
		payload := pick("UNSIGNED-PAYLOAD", EmptyHash)
		if service == "s3" || random.IntN(2) == 0 {
			header.Set("X-Amz-Content-Sha256", payload)
		} else {
			payload = EmptyHash
		}
		presign := random.IntN(3) == 0
		if presign {
			rawURL += map[bool]string{true: "&", false: "?"}[strings.Contains(rawURL, "?")] + "X-Amz-Expires=900"
		}
		length := random.Int64N(3) * 11
		sign := func(keys aws.Credentials) *Request {
			return signSDK(t, newRequest(t, pick("PUT"), rawURL, header, length), keys, service, payload, presign)
		}
		from, to := local, real
		if random.IntN(4) == 0 {
			from = ending
		}
		if random.IntN(4) == 0 {
			to = forever
		}
		came := sign(from)
		s := parse(t, came)
		if err := s.Check(came, from.SecretAccessKey, EmptyHash); err != nil {
			t.Fatalf("%s %s: %v", service, rawURL, err)
		}
		if err := s.Check(came, from.SecretAccessKey+"x", EmptyHash); err == nil {
			t.Fatalf("%s: another secret is taken", rawURL)
		}
		if err := s.Check(came, from.SecretAccessKey, EmptyHash); err != nil {
			t.Fatal(err)
		}
		got, err := s.Renew(came, to, EmptyHash)
		if err != nil {
			t.Fatal(err)
		}
		want := sign(to)
		sortQuery := cmp.Transformer("query", func(r *Request) Request {
			out := *r
			q := strings.Split(out.Query, "&")
			slices.Sort(q)
			out.Query = strings.Join(q, "&")
			return out
		})
		if diff := cmp.Diff(want, got, sortQuery); diff != "" {
			t.Fatalf("%s %s presigned %v: Renew is not what the SDK signs (-want +got):\n%s", service, rawURL, presign, diff)
		}
		if err := parse(t, got).Check(got, to.SecretAccessKey, EmptyHash); err != nil {
			t.Fatalf("%s: what was renewed: %v", rawURL, err)
		}
	}
}

// TestFields reads what a signature says.
func TestFields(t *testing.T) {
	header := http.Header{"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"}}
	signed := signSDK(t, newRequest(t, "GET", "https://b.example/k", header, 0), ending, "s3", "UNSIGNED-PAYLOAD", false)
	presigned := signSDK(t, newRequest(t, "GET", "https://b.example/k?X-Amz-Expires=60", header, 0), ending, "s3", "UNSIGNED-PAYLOAD", true)
	want := Signature{
		KeyID: ending.AccessKeyID, Date: "20150830", Region: "us-east-1", Service: "s3", Time: signedAt,
		Token: ending.SessionToken, Payload: "UNSIGNED-PAYLOAD",
		SignedHeaders: []string{"host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"},
	}
	hide := cmp.FilterPath(func(p cmp.Path) bool {
		return p.String() == "signature" || p.String() == "form"
	}, cmp.Ignore())
	all := cmp.AllowUnexported(Signature{})
	if diff := cmp.Diff(want, *parse(t, signed), hide, all); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	want.Presigned, want.Expires, want.SignedHeaders = true, time.Minute, []string{"host", "x-amz-content-sha256"}
	if diff := cmp.Diff(want, *parse(t, presigned), hide, all); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
}

// TestNone has requests that bear no signature of Version 4.
func TestNone(t *testing.T) {
	for _, r := range []Request{
		{},
		{Header: http.Header{"Authorization": {"Basic YTpi"}}},
		{Header: http.Header{"Authorization": {"Bearer x"}}},
		{Header: http.Header{"Authorization": {"AWS AKIA:c2ln"}}},
		{Query: "AWSAccessKeyId=AKIA&Signature=x&Expires=1"},
		{Query: "list-type=2&prefix=X-Amz-Algorithm"},
	} {
		if s, err := Parse(&r); s != nil || err != nil {
			t.Errorf("%+v: got %+v, %v", r, s, err)
		}
	}
}

const (
	goodHeader = "AWS4-HMAC-SHA256 Credential=AKIA/20150830/us-east-1/sts/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
	goodQuery  = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20150830%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00"
)

// TestMalformed has signatures that AWS refuses to read.
func TestMalformed(t *testing.T) {
	tests := []struct{ old, new, code string }{
		{"Credential=", "Credent=", "IncompleteSignature"},
		{"AKIA/", "", "IncompleteSignature"},
		{"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512", "IncompleteSignature"},
		{"aws4_request", "aws5_request", "IncompleteSignature"},
		{"/20150830/", "/2015083/", "IncompleteSignature"},
		{"SignedHeaders=", "Signed=", "IncompleteSignature"},
		{"host;", "", "IncompleteSignature"},
		{"Signature=", "Sign=", "IncompleteSignature"},
		{"/sts/aws4_request, SignedHeaders=", "/s3/aws4_request, Signed=", "AuthorizationHeaderMalformed"},

		{"X-Amz-Credential", "X-Amz-Cred", "AuthorizationQueryParametersError"},
		{"AKIA%2F", "", "AuthorizationQueryParametersError"},
		{"AWS4-HMAC-SHA256", "AWS4-X", "AuthorizationQueryParametersError"},
		{"X-Amz-Date=20150830T123600Z", "X-Amz-Date=20150830", "AuthorizationQueryParametersError"},
		{"X-Amz-Date=20150830T123600Z", "", "AuthorizationQueryParametersError"},
		{"Expires=60", "Expires=", "AuthorizationQueryParametersError"},
		{"Expires=60", "Expires=x", "AuthorizationQueryParametersError"},
		{"Expires=60", "Expires=-1", "AuthorizationQueryParametersError"},
		{"Expires=60", "Expires=604801", "AuthorizationQueryParametersError"},
		{"SignedHeaders=host", "SignedHeaders=date", "AuthorizationQueryParametersError"},
		{"X-Amz-Signature=00", "", "AuthorizationQueryParametersError"},
	}
	for _, test := range tests {
		r := &Request{Header: http.Header{}}
		text := goodHeader
		if test.code == "AuthorizationQueryParametersError" {
			text = goodQuery
		}
		if !strings.Contains(text, test.old) {
			t.Fatalf("%q is not in %q", test.old, text)
		}
		text = strings.Replace(text, test.old, test.new, 1)
		if test.code == "AuthorizationQueryParametersError" {
			r.Query = text
		} else {
			r.Header.Set("Authorization", text)
			r.Header.Set("X-Amz-Date", "20150830T123600Z")
		}
		s, err := Parse(r)
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != test.code || refused.Status != 400 {
			t.Errorf("%q for %q: got %+v, %v, want %s", test.new, test.old, s, err, test.code)
		}
	}
	for _, date := range []string{"", "yesterday"} {
		r := &Request{Header: http.Header{"Authorization": {goodHeader}}}
		if date != "" {
			r.Header.Set("X-Amz-Date", date)
		}
		if s, err := Parse(r); err == nil || s.KeyID != "AKIA" {
			t.Errorf("date %q: got %+v, %v; want an error, and whose it is", date, s, err)
		}
	}
}

// TestUnknownStream refuses a body whose parts could not be signed anew.
func TestUnknownStream(t *testing.T) {
	r := &Request{Header: http.Header{"Authorization": {goodHeader}, "X-Amz-Date": {"20150830T123600Z"}, "X-Amz-Content-Sha256": {"STREAMING-AWS5-PAYLOAD"}}}
	var refused *Error
	if _, err := Parse(r); !errors.As(err, &refused) || refused.Code != "NotImplemented" || refused.Status != 501 {
		t.Errorf("got %v", err)
	}
}

func TestDateHeader(t *testing.T) {
	for _, date := range []string{"Sun, 30 Aug 2015 12:36:00 GMT", "20150830T123600Z", "2015-08-30T12:36:00Z", "Sunday, 30-Aug-15 12:36:00 GMT"} {
		r := &Request{Header: http.Header{"Authorization": {goodHeader}, "Date": {date}}}
		if s := parse(t, r); !s.Time.Equal(signedAt) || s.Time.Format(timeFormat) != "20150830T123600Z" {
			t.Errorf("%s: got %s", date, s.Time)
		}
	}
}

func TestFresh(t *testing.T) {
	tests := []struct {
		service   string
		presigned bool
		after     time.Duration
		code      string
	}{
		{"s3", false, 15 * time.Minute, ""},
		{"s3", false, 15*time.Minute + 1, "RequestTimeTooSkewed"},
		{"s3", false, -15*time.Minute - 1, "RequestTimeTooSkewed"},
		{"sts", false, -15 * time.Minute, ""},
		{"sts", false, 15*time.Minute + 1, "SignatureDoesNotMatch"},
		{"sts", false, -15*time.Minute - 1, "SignatureDoesNotMatch"},
		{"s3", true, time.Hour, ""},
		{"s3", true, time.Hour + 1, "AccessDenied"},
		{"s3", true, -15*time.Minute - 1, "AccessDenied"},
		{"sts", true, time.Hour + 1, "SignatureDoesNotMatch"},
	}
	for _, test := range tests {
		s := &Signature{Service: test.service, Presigned: test.presigned, Expires: time.Hour, Time: signedAt}
		err := s.Fresh(signedAt.Add(test.after))
		var refused *Error
		if got := errors.As(err, &refused); got != (test.code != "") || got && (refused.Code != test.code || refused.Status != 403) {
			t.Errorf("%+v: got %v", test, err)
		}
	}
	s := &Signature{Service: "sts", Time: signedAt}
	want := "SignatureDoesNotMatch: Signature expired: 20150830T123600Z is now earlier than 20150830T124500Z (20150830T130000Z - 15 min.)"
	if got := s.Fresh(signedAt.Add(24 * time.Minute)).Error(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNeedsBody(t *testing.T) {
	tests := []struct {
		Signature
		want bool
	}{
		{Signature{Service: "sts"}, true},
		{Signature{Service: "s3"}, true},
		{Signature{Service: "sts", Payload: EmptyHash}, false},
		{Signature{Service: "s3", Payload: unsignedPayload}, false},
		{Signature{Service: "s3", Presigned: true}, false},
		{Signature{Service: "sts", Presigned: true}, true},
	}
	for _, test := range tests {
		if got := test.NeedsBody(); got != test.want {
			t.Errorf("%+v: got %v", test, got)
		}
	}
}

// TestTampered changes one part of a request at a time.
func TestTampered(t *testing.T) {
	header := http.Header{"X-Amz-Content-Sha256": {EmptyHash}, "X-Amz-Meta-A": {"b"}}
	for _, presign := range []bool{false, true} {
		r := newRequest(t, "PUT", "https://example/bucket/key?acl&X-Amz-Expires=60", header, 11)
		r.Header.Set("Content-Length", "11")
		good := signSDK(t, r, local, "s3", EmptyHash, presign)
		s := parse(t, good)
		changes := map[string]func(*Request){
			"method":    func(r *Request) { r.Method = "GET" },
			"path":      func(r *Request) { r.Path = "/bucket/other" },
			"slash":     func(r *Request) { r.Path = "/bucket//key" },
			"query":     func(r *Request) { r.Query = strings.Replace(r.Query, "acl", "tagging", 1) },
			"parameter": func(r *Request) { r.Query += "&versionId=1" },
			"host":      func(r *Request) { r.Host = "other" },
			"port":      func(r *Request) { r.Host += ":443" },
			"header":    func(r *Request) { r.Header.Set("X-Amz-Meta-A", "c") },
			"value":     func(r *Request) { r.Header.Add("X-Amz-Meta-A", "c") },
			"gone":      func(r *Request) { r.Header.Del("X-Amz-Meta-A") },
			"length":    func(r *Request) { r.Length++ },
		}
		for name, change := range changes {
			bad := *good
			bad.Header = good.Header.Clone()
			change(&bad)
			var refused *Error
			if err := s.Check(&bad, local.SecretAccessKey, ""); !errors.As(err, &refused) || refused.Code != "SignatureDoesNotMatch" {
				t.Errorf("%s, presigned %v: got %v", name, presign, err)
			}
		}
		if err := s.Check(good, local.SecretAccessKey, ""); err != nil {
			t.Errorf("presigned %v: %v", presign, err)
		}
		other := *s
		other.Time = other.Time.Add(24 * time.Hour)
		if err := other.Check(good, local.SecretAccessKey, ""); err == nil || !strings.Contains(err.Error(), "Date in Credential scope") {
			t.Errorf("another day: got %v", err)
		}
	}
}

// TestBodyHash covers a body whose hash the client does not say.
func TestBodyHash(t *testing.T) {
	body := hash256([]byte("Action=GetCallerIdentity"))
	for _, presign := range []bool{false, true} {
		r := signSDK(t, newRequest(t, "POST", "https://sts.amazonaws.com/", nil, 24), local, "sts", body, presign)
		s := parse(t, r)
		if !s.NeedsBody() {
			t.Errorf("presigned %v: needs no body", presign)
		}
		if err := s.Check(r, local.SecretAccessKey, body); err != nil {
			t.Error(err)
		}
		if err := s.Check(r, local.SecretAccessKey, EmptyHash); err == nil {
			t.Errorf("presigned %v: another body is taken", presign)
		}
	}
}

// TestPaths are canonical paths of S3 and of the other services.
func TestPaths(t *testing.T) {
	tests := []struct{ sent, s3, other string }{
		{"", "/", "/"},
		{"/", "/", "/"},
		{"/a/b", "/a/b", "/a/b"},
		{"/a//b/", "/a//b/", "/a/b/"},
		{"/a/./b/../c", "/a/./b/../c", "/a/c"},
		{"/..", "/..", "/"},
		{"/a/..", "/a/..", "/"},
		{"/a/b/..", "/a/b/..", "/a/"},
		{"/a/.b/c..", "/a/.b/c..", "/a/.b/c.."},
		{"/a%20b", "/a%20b", "/a%2520b"},
		{"/a+b", "/a%2Bb", "/a%2Bb"},
		{"/a%2Bb", "/a%2Bb", "/a%252Bb"},
		{"/a%2Fb", "/a/b", "/a%252Fb"},
		{"/a%2fb", "/a/b", "/a%252fb"},
		{"/a:@$&'()*,;=!b", "/a%3A%40%24%26%27%28%29%2A%2C%3B%3D%21b", "/a%3A%40%24%26%27%28%29%2A%2C%3B%3D%21b"},
		{"/~a-._%7E%41", "/~a-._~A", "/~a-._%257E%2541"},
		{"/%e1%88%b4", "/%E1%88%B4", "/%25e1%2588%25b4"},
		{"/\u1234", "/%E1%88%B4", "/%E1%88%B4"},
		{"/%zz%", "/%25zz%25", "/%25zz%25"},
	}
	for _, test := range tests {
		for service, want := range map[string]string{"s3": test.s3, "sts": test.other} {
			paths, _ := (&Signature{Service: service}).forms()
			sent := test.sent
			if sent == "" {
				sent = "/" // as stringToSign does
			}
			if got := paths[0](sent); got != want {
				t.Errorf("%s of %s: got %s, want %s", test.sent, service, got, want)
			}
		}
	}
}

func TestQueries(t *testing.T) {
	tests := []struct{ sent, want string }{
		{"", ""},
		{"acl", "acl="},
		{"acl=", "acl="},
		{"b=2&a=1", "a=1&b=2"},
		{"a=2&a=1&A=3", "A=3&a=1&a=2"},
		{"a-=1&a=1", "a=1&a-=1"},
		{"a%2b=1&a=1", "a=1&a%2B=1"},
		{"a=b+c", "a=b%20c"},
		{"a=b%20c", "a=b%20c"},
		{"a=x/y:z", "a=x%2Fy%3Az"},
		{"a=b=c", "a=b%3Dc"},
		{"a=%e1%88%b4", "a=%E1%88%B4"},
		{"%41=%7e", "A=~"},
		{"&a=1&", "a=1"},
		{"=1", "=1"},
	}
	for _, test := range tests {
		if got := sortedPlus(test.sent); got != test.want {
			t.Errorf("%q: got %q, want %q", test.sent, got, test.want)
		}
		if got := parameters(test.sent).String(); got != test.sent {
			t.Errorf("%q is put together as %q", test.sent, got)
		}
	}
}

// signForm signs as a client of another canonicalisation would.
func signForm(r *Request, service string, f form) *Request {
	s := &Signature{Service: service, Region: "us-east-1", Date: "20150830", Time: signedAt, Payload: unsignedPayload}
	r.Header = http.Header{"X-Amz-Date": {"20150830T123600Z"}, "X-Amz-Content-Sha256": {unsignedPayload}}
	signed := []string{"host", "x-amz-content-sha256", "x-amz-date"}
	k, _ := s.key(local.AccessKeyID, local.SecretAccessKey, s.Date)
	signature, _ := k.sign(s.stringToSign(r, f, signed, unsignedPayload))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+local.AccessKeyID+"/"+s.scope(s.Date)+",SignedHeaders="+strings.Join(signed, ";")+",Signature="+signature)
	return r
}

// TestForms has clients that canonicalise otherwise than AWS: the new signature is over
// the form that the client signed.
func TestForms(t *testing.T) {
	tests := []struct {
		service, path, query string
		form                 form
	}{
		{"s3", "/a:b", "", form{asSent, sortedPlus}},
		{"s3", "/a+b", "", form{escapeOncePlus, sortedPlus}},
		{"execute-api", "/a//b/../c", "", form{escape, sortedPlus}},
		{"s3", "/", "a=b+c", form{escapeOnce, sorted}},
		{"s3", "/", "a=b:c&a", form{escapeOnce, sortedAsSent}},
	}
	for _, test := range tests {
		r := signForm(&Request{Method: "GET", Host: "h", Path: test.path, Query: test.query}, test.service, test.form)
		s := parse(t, r)
		if err := s.Check(r, local.SecretAccessKey, ""); err != nil {
			t.Errorf("%s %s?%s: %v", test.service, test.path, test.query, err)
			continue
		}
		got, err := s.Renew(r, forever, "")
		if err != nil {
			t.Fatal(err)
		}
		k, _ := s.key(forever.AccessKeyID, forever.SecretAccessKey, s.Date)
		want, _ := k.sign(s.stringToSign(got, test.form, s.SignedHeaders, unsignedPayload))
		if signature := parse(t, got).signature; signature != want || got.Path != test.path || got.Query != test.query {
			t.Errorf("%s %s?%s: signed in another form: %+v", test.service, test.path, test.query, got)
		}
	}
}

// TestRenewHeaders has signed headers that the request does not have any more, or with
// another value.
func TestRenewHeaders(t *testing.T) {
	for _, presign := range []bool{false, true} {
		header := http.Header{"Connection": {"keep-alive"}, "X-Amz-Meta-A": {"b"}, "X-Amz-Content-Sha256": {unsignedPayload}}
		came := signSDK(t, newRequest(t, "PUT", "https://local/k?X-Amz-Expires=60&b=%2f&a", header, 11), local, "s3", unsignedPayload, presign)
		came.Header.Set("Connection", "keep-alive")
		s := parse(t, came)
		if err := s.Check(came, local.SecretAccessKey, ""); err != nil {
			t.Fatal(err)
		}
		goes := *came
		goes.Header = came.Header.Clone()
		goes.Header.Del("Connection")
		goes.Host = "bucket.s3.amazonaws.com"
		goes.Length = 0
		got, err := s.Renew(&goes, real, "")
		if err != nil {
			t.Fatal(err)
		}
		again := parse(t, got)
		if err := again.Check(got, real.SecretAccessKey, ""); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"connection", "content-length"} {
			if !slices.Contains(s.SignedHeaders, name) || slices.Contains(again.SignedHeaders, name) {
				t.Errorf("%s: %v became %v", name, s.SignedHeaders, again.SignedHeaders)
			}
		}
		if again.Token != real.SessionToken || again.KeyID != real.AccessKeyID || !again.Time.Equal(signedAt) || got.Host != goes.Host {
			t.Errorf("got %+v", again)
		}
		if goes.Header.Get("Authorization") != came.Header.Get("Authorization") || goes.Query != came.Query {
			t.Error("Renew has changed what it was given")
		}
		if all := got.Method + got.Query + strconv.Quote(strings.Join(got.Header.Values("Authorization"), "")); strings.Contains(all, local.AccessKeyID) {
			t.Errorf("the local key ID is in %s", all)
		}
	}
}

// TestTokenLast is the service whose clients add the token to the signed URL.
func TestTokenLast(t *testing.T) {
	r := signSDK(t, newRequest(t, "GET", "wss://x.iot.us-east-1.amazonaws.com/mqtt", nil, 0), local, "iotdevicegateway", EmptyHash, true)
	s := parse(t, r)
	r.Query += "&X-Amz-Security-Token=local"
	if err := s.Check(r, local.SecretAccessKey, EmptyHash); err != nil {
		t.Fatal(err)
	}
	got, err := s.Renew(r, real, EmptyHash)
	if err != nil {
		t.Fatal(err)
	}
	want := signSDK(t, newRequest(t, "GET", "wss://x.iot.us-east-1.amazonaws.com/mqtt", nil, 0), forever, "iotdevicegateway", EmptyHash, true)
	k, _ := s.key(real.AccessKeyID, real.SecretAccessKey, s.Date)
	wantQuery := strings.Replace(want.Query, forever.AccessKeyID, real.AccessKeyID, 1)
	bare := *want
	bare.Query = wantQuery
	signature, _ := k.sign(s.stringToSign(&bare, form{escapeNormal, sortedPlus}, s.SignedHeaders, EmptyHash))
	if again := parse(t, got); again.signature != signature || again.Token != real.SessionToken {
		t.Errorf("got %s", got.Query)
	}
}

// TestRegionSets: limits are about all regions that a request names, in whichever place.
func TestRegionSets(t *testing.T) {
	t.Parallel()
	header := func(sets ...string) *Request {
		return &Request{Header: http.Header{
			"Authorization": {"AWS4-ECDSA-P256-SHA256 Credential=AKID/20150830/s3/aws4_request, SignedHeaders=host;x-amz-date;x-amz-region-set, Signature=00"},
			"X-Amz-Date":    {"20150830T123600Z"}, "X-Amz-Region-Set": sets,
		}}
	}
	query := func(more string, sets ...string) *Request {
		return &Request{Header: http.Header{"X-Amz-Region-Set": sets}, Query: "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Credential=AKID%2F20150830%2Fs3%2Faws4_request" +
			"&X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00" + more}
	}
	more := header("us-east-1")
	more.Query = "X-Amz-Region-Set=*"
	for name, tt := range map[string]struct {
		r    *Request
		want string
	}{
		"one header":           {header("us-east-1"), "us-east-1"},
		"two":                  {header("us-east-1", "*"), "us-east-1,*"},
		"none":                 {header(), ""},
		"header and parameter": {more, "us-east-1,*"},
		"one parameter":        {query("&X-Amz-Region-Set=us-east-1"), "us-east-1"},
		"two of them":          {query("&X-Amz-Region-Set=us-east-1&X-Amz%2DRegion-Set=%2A"), "us-east-1,*"},
		"parameter and header": {query("&X-Amz-Region-Set=us-east-1", "*"), "*,us-east-1"},
	} {
		s, err := Parse(tt.r)
		if err != nil || s.RegionSet != tt.want {
			t.Errorf("%s: %q, %v, want %q", name, s.RegionSet, err, tt.want)
		}
	}
}
