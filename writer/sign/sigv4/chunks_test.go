package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
)

// upload is a request whose body is in signed chunks, as a client sends it.
type upload struct {
	request *Request
	body    []byte
}

// client makes uploads.
type client struct {
	keys       aws.Credentials
	asymmetric bool
	trailers   []string // name:value
	seed       string   // "" for the request's own signature
	// What other clients write:
	lineEnd, beforeSignature, extension string
}

func (c client) upload(t testing.TB, data []byte, sizes ...int) upload {
	t.Helper()
	s := &Signature{Service: "s3", Region: "us-east-1", Date: "20150830", Time: signedAt, Asymmetric: c.asymmetric}
	s.Payload = streaming + s.algorithm() + "-PAYLOAD"
	r := &Request{Method: "PUT", Host: "bucket.s3.amazonaws.com", Path: "/key", Header: http.Header{
		"X-Amz-Date":                   {s.Time.Format(timeFormat)},
		"X-Amz-Decoded-Content-Length": {strconv.Itoa(len(data))},
		"Content-Encoding":             {"aws-chunked"},
	}}
	signed := []string{"content-encoding", "content-length", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-decoded-content-length"}
	if c.trailers != nil {
		s.Payload += "-TRAILER"
		for _, line := range c.trailers {
			name, _, _ := strings.Cut(line, ":")
			r.Header.Add("X-Amz-Trailer", name)
		}
		signed = append(signed, "x-amz-trailer")
	}
	r.Header.Set("X-Amz-Content-Sha256", s.Payload)
	k, err := s.key(c.keys.AccessKeyID, c.keys.SecretAccessKey, s.Date)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(text string) string {
		signature, err := k.sign(text)
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	// The length is signed before the chunks are, so they are written with any signatures first.
	chunks := c.chunks(s, func(string) string { return "" }, data, sizes)
	r.Length = int64(len(chunks))
	signature := sign(s.stringToSign(r, form{escapeOnce, sortedPlus}, signed, s.Payload))
	r.Header.Set("Authorization", s.algorithm()+" Credential="+c.keys.AccessKeyID+"/"+s.scope(s.Date)+", SignedHeaders="+strings.Join(signed, ";")+", Signature="+signature)
	s.signature = signature
	if c.seed != "" {
		s.signature = c.seed
	}
	return upload{r, c.chunks(s, sign, data, sizes)}
}

func (c client) chunks(s *Signature, sign func(string) string, data []byte, sizes []int) []byte {
	end := "\r\n"
	if c.lineEnd != "" {
		end = c.lineEnd
	}
	pad := func(signature string) string {
		return signature + strings.Repeat("*", s.signatureLength()-len(signature))
	}
	previous := s.signature
	scope := "\n" + s.Time.Format(timeFormat) + "\n" + s.scope(s.Date) + "\n"
	var b bytes.Buffer
	chunk := func(data []byte) {
		sum := sha256.Sum256(data)
		previous = sign(s.algorithm() + "-PAYLOAD" + scope + previous + "\n" + EmptyHash + "\n" + hex.EncodeToString(sum[:]))
		fmt.Fprintf(&b, "%x%s;chunk-signature=%s\r\n", len(data), c.extension, pad(previous))
		if len(data) > 0 {
			b.Write(data)
			b.WriteString("\r\n")
		}
	}
	for i := 0; len(data) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(data))
		chunk(data[:n])
		data = data[n:]
	}
	chunk(nil)
	if c.trailers != nil {
		var canonical string
		for _, line := range c.trailers {
			canonical += line + "\n"
			b.WriteString(line + end)
		}
		sum := sha256.Sum256([]byte(canonical))
		b.WriteString(c.beforeSignature + "x-amz-trailer-signature:" + pad(sign(s.algorithm()+"-TRAILER"+scope+previous+"\n"+hex.EncodeToString(sum[:]))) + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// renew has the request and body signed again.
func (u upload) renew(t testing.TB, from, to aws.Credentials, body io.Reader) (*Request, io.Reader, int64) {
	t.Helper()
	s := parse(t, u.request)
	if err := s.Check(u.request, from.SecretAccessKey, ""); err != nil {
		t.Fatal(err)
	}
	goes, err := s.Renew(u.request, to, "")
	if err != nil {
		t.Fatal(err)
	}
	again, length, err := s.Body(from.SecretAccessKey, to, goes, body)
	if err != nil {
		t.Fatal(err)
	}
	if length != goes.Length {
		t.Errorf("Body has length %d, the request %d", length, goes.Length)
	}
	return goes, again, length
}

// decode takes chunks apart without a look at signatures.
func decode(t testing.TB, body []byte) (data []byte, sizes []int, trailer string) {
	t.Helper()
	for {
		line, rest, ok := bytes.Cut(body, []byte("\r\n"))
		size, err := strconv.ParseInt(strings.Split(string(line), ";")[0], 16, 64)
		if !ok || err != nil {
			t.Fatalf("no chunk: %.80q", body)
		}
		if size == 0 {
			return data, sizes, string(rest)
		}
		data = append(data, rest[:size]...)
		sizes = append(sizes, int(size))
		body = bytes.TrimPrefix(rest[size:], []byte("\r\n"))
	}
}

func randomBytes(n int) []byte {
	out := make([]byte, n)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(out)
	return out
}

const kib = 1 << 10

// TestChunks signs uploads of chunks of many sizes again: the data is the same, the
// length is known before, and what is renewed passes the check itself.
func TestChunks(t *testing.T) {
	checksum := []string{"x-amz-checksum-crc32c:sOO8/Q=="}
	tests := []struct {
		name   string
		client client
		length int
		sizes  []int
		want   []int
	}{
		{"nothing", client{}, 0, nil, nil},
		{"a byte", client{}, 1, []int{8 * kib}, []int{1}},
		{"small", client{}, 1000, []int{1000}, []int{1000}},
		{"as ours", client{}, 192*kib + 1, []int{64 * kib}, []int{64 * kib, 64 * kib, 64 * kib, 1}},
		{"exactly", client{}, 128 * kib, []int{64 * kib}, []int{64 * kib, 64 * kib}},
		{"smaller", client{}, 100 * kib, []int{8 * kib}, []int{64 * kib, 36 * kib}},
		{"Java", client{}, 300 * kib, []int{128 * kib}, []int{64 * kib, 64 * kib, 64 * kib, 64 * kib, 44 * kib}},
		{".NET", client{}, 200 * kib, []int{80 * kib}, []int{64 * kib, 64 * kib, 64 * kib, 8 * kib}},
		{"in one", client{}, 200 * kib, []int{200 * kib}, []int{64 * kib, 64 * kib, 64 * kib, 8 * kib}},
		{"mixed", client{}, 200 * kib, []int{1, 70 * kib, 64 * kib, 3}, []int{64 * kib, 64 * kib, 64 * kib, 8 * kib}},
		{"trailer", client{trailers: checksum}, 65 * kib, []int{64 * kib}, []int{64 * kib, kib}},
		{"trailer of nothing", client{trailers: checksum}, 0, nil, nil},
		{"minio-go", client{trailers: checksum, lineEnd: "\n\r\n"}, 10, []int{10}, []int{10}},
		{"line feeds", client{trailers: checksum, lineEnd: "\n"}, 10, []int{10}, []int{10}},
		{"two trailers", client{trailers: []string{"x-amz-checksum-crc32:AAAAAA==", "x-amz-checksum-sha1:" + strings.Repeat("A", 28)}}, 10, []int{10}, []int{10}},
		{"an extension", client{extension: ";a=b"}, 10, []int{10}, []int{10}},
		{"4A", client{asymmetric: true}, 200 * kib, []int{128 * kib}, []int{64 * kib, 64 * kib, 64 * kib, 8 * kib}},
		{"4A trailer", client{asymmetric: true, trailers: checksum}, 65 * kib, []int{64 * kib}, []int{64 * kib, kib}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data := randomBytes(test.length)
			test.client.keys = local
			u := test.client.upload(t, data, test.sizes...)
			for name, body := range map[string]io.Reader{
				"at once": bytes.NewReader(u.body), "in halves": iotest.HalfReader(bytes.NewReader(u.body)), "with its end": iotest.DataErrReader(bytes.NewReader(u.body)),
			} {
				goes, again, length := u.renew(t, local, real, body)
				got, err := io.ReadAll(again)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if int64(len(got)) != length {
					t.Errorf("%s: %d bytes, said to be %d", name, len(got), length)
				}
				object, sizes, trailer := decode(t, got)
				if diff := cmp.Diff(test.want, sizes); diff != "" || !bytes.Equal(object, data) {
					t.Errorf("%s: other data, or other chunks (-want +got):\n%s", name, diff)
				}
				for _, line := range test.client.trailers {
					if !strings.Contains(trailer, line+"\r\n") {
						t.Errorf("%s: %s is not in %q", name, line, trailer)
					}
				}
				_, third, _ := upload{request: goes}.renew(t, real, forever, bytes.NewReader(got))
				if _, err := io.Copy(io.Discard, third); err != nil {
					t.Errorf("%s: what was renewed: %v", name, err)
				}
			}
		})
	}
}

// TestChunksUnknownLength has uploads the length of whose new body cannot be known.
func TestChunksUnknownLength(t *testing.T) {
	for name, change := range map[string]func(*Request){
		"no length of the data": func(r *Request) { r.Header.Del("X-Amz-Decoded-Content-Length") },
		"an unknown checksum":   func(r *Request) { r.Header.Set("X-Amz-Trailer", "x-amz-checksum-new") },
	} {
		data := randomBytes(100 * kib)
		c := client{keys: local, trailers: []string{"x-amz-checksum-new:1"}}
		u := c.upload(t, data, 80*kib)
		change(u.request)
		s := parse(t, u.request)
		goes, err := s.Renew(u.request, real, "")
		if err != nil {
			t.Fatal(err)
		}
		again, length, err := s.Body(local.SecretAccessKey, real, goes, bytes.NewReader(u.body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(again)
		if object, _, _ := decode(t, got); err != nil || length != -1 || goes.Length != -1 || !bytes.Equal(object, data) {
			t.Errorf("%s: length %d, %d bytes, %v", name, length, len(got), err)
		}
	}
}

// TestChunksBad has bodies that are refused. None gets as far as its end.
func TestChunksBad(t *testing.T) {
	trailed := client{keys: local, trailers: []string{"x-amz-checksum-crc32c:sOO8/Q=="}}
	replace := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte {
			if !bytes.Contains(b, []byte(old)) {
				t.Fatalf("%q is not in the body", old)
			}
			return bytes.Replace(b, []byte(old), []byte(new), 1)
		}
	}
	end := func(change func(b []byte) []byte) func([]byte) []byte {
		return func(b []byte) []byte {
			i := bytes.LastIndex(b, []byte("\r\n0;"))
			return append(b[:i:i], change(b[i:])...)
		}
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[at] ^= 1; return b }
	}
	tests := []struct {
		name   string
		client client
		size   int
		change func([]byte) []byte
		code   string
	}{
		{"data of the first chunk", trailed, 64 * kib, flip(1000), "SignatureDoesNotMatch"},
		{"data of the first large chunk", trailed, 128 * kib, flip(1000), "SignatureDoesNotMatch"},
		{"data of the last large chunk", trailed, 200 * kib, flip(199 * kib), "SignatureDoesNotMatch"},
		{"signature of a chunk", trailed, 64 * kib, flip(30), "SignatureDoesNotMatch"},
		{"no signature of a chunk", trailed, 64 * kib, replace(";chunk-signature=", ";chunk-sign="), "SignatureDoesNotMatch"},
		{"signature of the end", trailed, 64 * kib, end(flip(30)), "SignatureDoesNotMatch"},
		{"signature of the end, without trailer", client{keys: local}, 64 * kib, end(flip(30)), "SignatureDoesNotMatch"},
		{"signature of the trailer", trailed, 64 * kib, end(replace("trailer-signature:", "trailer-signature:0")), "SignatureDoesNotMatch"},
		{"a trailer", trailed, 64 * kib, end(replace("sOO8", "tOO8")), "SignatureDoesNotMatch"},
		{"an undeclared trailer", trailed, 64 * kib, end(replace("crc32c:", "crc32d:")), "MalformedTrailerError"},
		{"a trailer twice", trailed, 64 * kib, end(replace("x-amz-trailer-s", "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-s")), "MalformedTrailerError"},
		{"no trailer", trailed, 64 * kib, end(replace("x-amz-checksum-crc32c:sOO8/Q==\r\n", "")), "MalformedTrailerError"},
		{"a trailer of another length", trailed, 64 * kib, end(replace("sOO8/Q==", "sOO8/Q=")), "MalformedTrailerError"},
		{"trailers without signature", trailed, 64 * kib, end(replace("x-amz-trailer-signature", "")), "MalformedTrailerError"},
		{"cut in its data", trailed, 64 * kib, cut(10 * kib), "IncompleteBody"},
		{"cut in the end", trailed, 64 * kib, cut(200), "IncompleteBody"},
		{"cut in the trailer", trailed, 64 * kib, cut(80), "IncompleteBody"},
		{"less data than said", trailed, 64 * kib, func(b []byte) []byte { return trailed.upload(t, randomBytes(100), 64*kib).body }, "SignatureDoesNotMatch"},
		{"more data than said", trailed, 64 * kib, replace("10000;", "f0000;"), "InvalidRequest"},
		{"no size", trailed, 64 * kib, replace("10000;", ";"), "InvalidRequest"},
		{"a size too large", trailed, 64 * kib, replace("10000;", "8000000000000000;"), "InvalidRequest"},
		{"a negative size", trailed, 64 * kib, replace("10000;", "-10000;"), "InvalidRequest"},
		{"no line's end", trailed, 64 * kib, func(b []byte) []byte { return bytes.Repeat([]byte("1"), 10*kib) }, "InvalidRequest"},
		{"no end of a chunk", trailed, 64 * kib, end(func(b []byte) []byte { return b[1:] }), "InvalidRequest"},
		{"more after its end", trailed, 64 * kib, func(b []byte) []byte { return append(b, '0') }, "InvalidRequest"},
		{"a trailer that is not meant to be", client{keys: local}, 64 * kib, end(func(b []byte) []byte {
			return append(b[:len(b)-2:len(b)-2], "x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n"...)
		}), "InvalidRequest"},
	}
	for _, test := range tests {
		u := test.client.upload(t, randomBytes(200*kib), test.size)
		_, again, length := u.renew(t, local, real, bytes.NewReader(test.change(bytes.Clone(u.body))))
		got, err := io.ReadAll(again)
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != test.code || refused.Status < 400 {
			t.Errorf("%s: got %v, want %s", test.name, err, test.code)
		}
		if int64(len(got)) >= length || bytes.Contains(got, []byte("\r\n0;")) {
			t.Errorf("%s: the end has been sent", test.name)
		}
		if _, again := again.Read(make([]byte, 1)); !errors.Is(again, err) {
			t.Errorf("%s: the next Read says %v", test.name, again)
		}
	}
	u := trailed.upload(t, randomBytes(100), 100)
	lost := errors.New("lost")
	_, again, _ := u.renew(t, local, real, io.MultiReader(bytes.NewReader(u.body[:150]), iotest.ErrReader(lost)))
	if _, err := io.ReadAll(again); !errors.Is(err, lost) {
		t.Errorf("a lost connection: got %v", err)
	}
}

// TestOtherRegion has a body of chunks and one of events sent on to another region than
// that for which the client signed.
func TestOtherRegion(t *testing.T) {
	u := client{keys: local}.upload(t, randomBytes(100*kib), 80*kib)
	r := eventRequest(t, local)
	for _, u := range []upload{u, {r, eventBody(t, local, parse(t, r).signature, []byte("one"), nil)}} {
		s := parse(t, u.request)
		if err := s.Check(u.request, local.SecretAccessKey, ""); err != nil {
			t.Fatal(err)
		}
		s.Region = "eu-west-1"
		goes, err := s.Renew(u.request, real, "")
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := s.Body(local.SecretAccessKey, real, goes, bytes.NewReader(u.body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(again)
		if err != nil {
			t.Fatal(err)
		}
		if region := parse(t, goes).Region; region != "eu-west-1" {
			t.Errorf("signed for %s", region)
		}
		_, third, _ := upload{request: goes}.renew(t, real, forever, bytes.NewReader(got))
		if _, err := io.Copy(io.Discard, third); err != nil {
			t.Error(err)
		}
	}
}

// TestChunksShort has data that ends before its declared length, with good signatures.
func TestChunksShort(t *testing.T) {
	c := client{keys: local}
	u := c.upload(t, randomBytes(200), 100)
	s := parse(t, u.request)
	u.request.Header.Set("X-Amz-Decoded-Content-Length", "201")
	goes, err := s.Renew(u.request, real, "")
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := s.Body(local.SecretAccessKey, real, goes, bytes.NewReader(u.body))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(again); !errors.Is(err, errIncomplete) {
		t.Errorf("got %v", err)
	}
}

// TestChunksNoLineAtEnd has a client that leaves out the last line's end.
func TestChunksNoLineAtEnd(t *testing.T) {
	u := client{keys: local}.upload(t, randomBytes(200), 100)
	_, again, length := u.renew(t, local, real, bytes.NewReader(u.body[:len(u.body)-2]))
	if got, err := io.ReadAll(again); err != nil || int64(len(got)) != length || !bytes.HasSuffix(got, []byte("\r\n\r\n")) {
		t.Errorf("%d of %d bytes, %v", len(got), length, err)
	}
}

// TestChunksExamples are those of AWS's documentation: 65 KiB of "a" in two chunks.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and
// …/sigv4-streaming-trailers.html
func TestChunksExamples(t *testing.T) {
	tests := []struct {
		payload, seed string
		trailer       string
		signatures    []string
	}{
		{
			payload:    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
			seed:       "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
			signatures: []string{"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648", "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"},
		},
		{
			payload:    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
			seed:       "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
			signatures: []string{"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2", "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7", "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"},
			trailer:    "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n",
		},
	}
	secret := "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	for _, test := range tests {
		s := &Signature{
			Service: "s3", Region: "us-east-1", Date: "20130524", Time: time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC),
			Payload: test.payload, signature: test.seed,
		}
		a := func(n int) string { return strings.Repeat("a", n) }
		body := "10000;chunk-signature=" + test.signatures[0] + "\r\n" + a(64*kib) + "\r\n" +
			"400;chunk-signature=" + test.signatures[1] + "\r\n" + a(kib) + "\r\n" +
			"0;chunk-signature=" + test.signatures[2] + "\r\n" + test.trailer + "\r\n"
		k, err := s.key("", secret, s.Date)
		if err != nil {
			t.Fatal(err)
		}
		r := &Request{Header: http.Header{"X-Amz-Decoded-Content-Length": {"66560"}, "X-Amz-Trailer": {"x-amz-checksum-crc32c"}}}
		got, err := io.ReadAll(newChunks(s, s, k, k, r, strings.NewReader(body)))
		if err != nil || string(got) != body {
			t.Errorf("%s: %v, or the same keys made other chunks", test.payload, err)
		}
		if want := s.chunkedLength(r); want != int64(len(body)) {
			t.Errorf("%s: length %d, want %d", test.payload, want, len(body))
		}
	}
}

// TestOtherBodies pass as they are.
func TestOtherBodies(t *testing.T) {
	for _, payload := range []string{"", EmptyHash, unsignedPayload, unsignedTrailer} {
		body := strings.NewReader("body")
		got, length, err := (&Signature{Payload: payload}).Body("a", real, &Request{Length: 4}, body)
		if got != io.Reader(body) || length != 4 || err != nil {
			t.Errorf("%q: got %v, %d, %v", payload, got, length, err)
		}
	}
}
