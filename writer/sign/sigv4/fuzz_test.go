package sigv4

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

// renewable holds that what Renew makes of a request passes Check with the new keys,
// unless one of them refuses it.
func renewable(t *testing.T, r *Request) {
	s, err := Parse(r)
	var refused *Error
	if err != nil {
		if !errors.As(err, &refused) || refused.Code == "" || refused.Message == "" || refused.Status < 400 {
			t.Fatalf("Parse: %v", err)
		}
		return
	}
	if s == nil {
		return
	}
	if err := s.Check(r, local.SecretAccessKey, EmptyHash); err == nil {
		t.Fatalf("a guessed signature is taken: %+v", r)
	}
	_ = s.Fresh(signedAt)
	got, err := s.Renew(r, real, EmptyHash)
	if err != nil {
		t.Fatalf("Renew of %+v: %v", r, err)
	}
	again, err := Parse(got)
	if err != nil {
		t.Fatalf("Parse of %+v: %v", got, err)
	}
	if again.KeyID != real.AccessKeyID || again.Token != real.SessionToken || again.Presigned != s.Presigned {
		t.Fatalf("%+v became %+v", s, again)
	}
	if err := again.Check(got, real.SecretAccessKey, EmptyHash); err != nil && s.Time.Format(dateFormat) == s.Date {
		t.Fatalf("%+v, signed again: %v", got, err)
	}
	if got.Path != r.Path || got.Host != r.Host || got.Method != r.Method || !s.Presigned && got.Query != r.Query {
		t.Fatalf("%+v became %+v", r, got)
	}
}

func FuzzAuthorization(f *testing.F) {
	f.Add(goodHeader, "20150830T123600Z", EmptyHash, "/a//b/%2F+", "b=1&a")
	f.Add(strings.ReplaceAll(goodHeader, ", ", ","), "Sun, 30 Aug 2015 12:36:00 GMT", "", "/", "")
	f.Add(strings.Replace(goodHeader, "sts", "s3", 1), "20150830T123600Z", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "/é", "a=b c")
	f.Add("AWS4-ECDSA-P256-SHA256 Credential=AKIA/20150830/s3/aws4_request,SignedHeaders=host;x-amz-date,Signature=3006020101020101", "20150830T123600Z", "", "", "&&")
	f.Fuzz(func(t *testing.T, authorization, date, payload, path, query string) {
		renewable(t, &Request{Method: "PUT", Host: "h", Path: path, Query: query, Length: 1, Header: http.Header{
			"Authorization": {authorization}, "X-Amz-Date": {date}, "X-Amz-Content-Sha256": {payload}, "A": {"b", " c  d "},
		}})
	})
}

func FuzzQuery(f *testing.F) {
	f.Add(goodQuery, "/a")
	f.Add("%58-Amz-Algorithm=AWS4-HMAC-SHA256&"+goodQuery+"&X-Amz-Security-Token=x&a&=&&b=c=d", "")
	f.Add(strings.Replace(goodQuery, "s3", "iotdevicegateway", 1)+"&X-Amz-Security-Token", "/mqtt")
	f.Add(strings.Replace(strings.Replace(goodQuery, "HMAC-SHA256", "ECDSA-P256-SHA256", 1), "us-east-1%2F", "", 1)+"&X-Amz-Region-Set=*", "/")
	f.Fuzz(func(t *testing.T, query, path string) {
		renewable(t, &Request{Method: "GET", Host: "h", Path: path, Query: query, Header: http.Header{}})
	})
}

// FuzzChunks has bodies of no client, and holds that no end is made of them.
func FuzzChunks(f *testing.F) {
	c := client{keys: local, trailers: []string{"x-amz-checksum-crc32c:sOO8/Q=="}}
	good := c.upload(f, randomBytes(3000), 1000, 600)
	f.Add(good.body)
	f.Add(good.body[:1200])
	f.Add([]byte("3;chunk-signature=x\r\nabc\r\n0;chunk-signature=x\r\n\r\n"))
	f.Add([]byte("ffffffffffffffff;\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := parse(t, good.request)
		goes, err := s.Renew(good.request, real, "")
		if err != nil {
			t.Fatal(err)
		}
		again, length, err := s.Body(local.SecretAccessKey, real, goes, iotest.HalfReader(bytes.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(again)
		if bytes.HasPrefix(good.body, body) && len(body) >= len(good.body)-2 {
			if err != nil || int64(len(got)) != length {
				t.Fatalf("the good body: %d bytes, %v", len(got), err)
			}
			return
		}
		// Other writings of the same chunks are taken: their signatures are the same.
		if err == nil && !sameChunks(good.body, body) {
			t.Fatalf("taken: %q", body)
		}
	})
}

// sameChunks tells whether a body has the signatures of another one.
func sameChunks(good, body []byte) bool {
	for part := range bytes.SplitSeq(good, []byte("signature")) {
		signature := part[1:min(len(part), 65)]
		if len(signature) == 64 && !bytes.Contains(body, signature) {
			return false
		}
	}
	return true
}

// FuzzChunkSizes has a client write chunks of any sizes.
func FuzzChunkSizes(f *testing.F) {
	f.Add(uint32(200<<10), uint32(80<<10), uint32(64<<10), uint32(1), true)
	f.Add(uint32(0), uint32(1), uint32(1), uint32(1), false)
	f.Fuzz(func(t *testing.T, length, a, b, c uint32, trailed bool) {
		data := randomBytes(int(length % (300 << 10)))
		from := client{keys: local}
		if trailed {
			from.trailers = []string{"x-amz-checksum-crc32c:sOO8/Q=="}
		}
		size := func(n uint32) int { return 1000 + int(n%(200<<10)) }
		u := from.upload(t, data, size(a), size(b), size(c))
		goes, again, length64 := u.renew(t, local, real, bytes.NewReader(u.body))
		got, err := io.ReadAll(again)
		if err != nil {
			t.Fatal(err)
		}
		if object, _, _ := decode(t, got); !bytes.Equal(object, data) || int64(len(got)) != length64 {
			t.Fatalf("%d bytes of %d, %d of data", len(got), length64, len(object))
		}
		_, third, _ := upload{request: goes}.renew(t, real, local, bytes.NewReader(got))
		if _, err := io.Copy(io.Discard, third); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzEvents(f *testing.F) {
	r := eventRequest(f, local)
	s := parse(f, r)
	good := eventBody(f, local, s.signature, []byte("one"), nil)
	f.Add(good)
	f.Add(good[:20])
	f.Add(bytes.Repeat([]byte{0, 0, 0, 16}, 4))
	f.Fuzz(func(t *testing.T, body []byte) {
		// The same keys make the same messages, so what comes out is what was good.
		got, err := io.ReadAll(newEvents(s, s, local.SecretAccessKey, local.SecretAccessKey, bytes.NewReader(body)))
		if !bytes.HasPrefix(body, got) || !bytes.HasPrefix(good, got) {
			t.Fatalf("%x became %x, %v", body, got, err)
		}
		var refused *Error
		if err != nil && !errors.As(err, &refused) {
			t.Fatal(err)
		}
	})
}
