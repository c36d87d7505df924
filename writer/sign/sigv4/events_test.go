package sigv4

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/eventstream"
	"github.com/google/go-cmp/cmp"
)

// eventRequest is the request that begins a stream.
func eventRequest(t testing.TB, keys aws.Credentials) *Request {
	t.Helper()
	header := http.Header{"X-Amz-Content-Sha256": {"STREAMING-AWS4-HMAC-SHA256-EVENTS"}}
	r := newRequest(t, "POST", "https://transcribestreaming.us-east-1.amazonaws.com/stream-transcription", header, -1)
	return signSDK(t, r, keys, "transcribe", "STREAMING-AWS4-HMAC-SHA256-EVENTS", false)
}

// eventBody is a stream of messages as the SDK signs them, ten minutes apart.
func eventBody(t testing.TB, keys aws.Credentials, seed string, payloads ...[]byte) []byte {
	t.Helper()
	raw, err := hex.DecodeString(seed)
	if err != nil {
		t.Fatal(err)
	}
	signer := v4.NewStreamSigner(keys, "transcribe", "us-east-1", raw)
	var out bytes.Buffer
	for i, payload := range payloads {
		at := signedAt.Add(time.Duration(i) * 10 * time.Minute)
		var m eventstream.Message
		m.Headers.Set(eventstream.DateHeader, eventstream.TimestampValue(at))
		m.Payload = payload
		var headers bytes.Buffer
		if err := eventstream.EncodeHeaders(&headers, m.Headers); err != nil {
			t.Fatal(err)
		}
		signature, err := signer.GetSignature(t.Context(), headers.Bytes(), payload, at)
		if err != nil {
			t.Fatal(err)
		}
		m.Headers.Set(eventstream.ChunkSignatureHeader, eventstream.BytesValue(signature))
		if err := eventstream.NewEncoder().Encode(&out, m); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// TestEvents has the SDK sign a stream that goes on past midnight, with local keys and
// with real ones: what Body makes of the former is the latter.
func TestEvents(t *testing.T) {
	payloads := make([][]byte, 100)
	for i := range payloads {
		payloads[i] = randomBytes(i * 700)
	}
	payloads[99] = nil // which ends the stream
	came := eventRequest(t, local)
	s := parse(t, came)
	if err := s.Check(came, local.SecretAccessKey, ""); err != nil {
		t.Fatal(err)
	}
	goes, err := s.Renew(came, real, "")
	if err != nil {
		t.Fatal(err)
	}
	body := eventBody(t, local, s.signature, payloads...)
	want := eventBody(t, real, parse(t, goes).signature, payloads...)
	for _, in := range []io.Reader{bytes.NewReader(body), iotest.OneByteReader(bytes.NewReader(body))} {
		again, length, err := s.Body(local.SecretAccessKey, real, goes, in)
		if err != nil || length != -1 {
			t.Fatal(length, err)
		}
		got, err := io.ReadAll(again)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v, or other messages: %s", err, cmp.Diff(len(want), len(got)))
		}
	}
}

// TestEventsAtOnce passes a message on as soon as it is there.
func TestEventsAtOnce(t *testing.T) {
	r := eventRequest(t, local)
	s := parse(t, r)
	body := eventBody(t, local, s.signature, []byte("one"), []byte("two"))
	in, client := io.Pipe()
	again := newEvents(s, s, local.SecretAccessKey, local.SecretAccessKey, in)
	half := len(body) / 2
	go client.Write(body[:half])
	got := make([]byte, half)
	if _, err := io.ReadFull(again, got); err != nil || !bytes.Equal(got, body[:half]) {
		t.Fatal(err)
	}
	go func() {
		_, _ = client.Write(body[half:])
		client.Close()
	}()
	if rest, err := io.ReadAll(again); err != nil || !bytes.Equal(rest, body[half:]) {
		t.Fatal(err)
	}
}

func TestEventsBad(t *testing.T) {
	r := eventRequest(t, local)
	s := parse(t, r)
	good := func() []byte { return eventBody(t, local, s.signature, []byte("hello")) }
	message := func(headers eventstream.Headers) []byte {
		var b bytes.Buffer
		if err := eventstream.NewEncoder().Encode(&b, eventstream.Message{Headers: headers}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	put := func(b []byte, at int, n uint32) []byte {
		binary.BigEndian.PutUint32(b[at:], n)
		binary.BigEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[:8]))
		return b
	}
	date := eventstream.TimestampValue(signedAt)
	tests := []struct {
		name string
		body []byte
		code string
	}{
		{"another secret", eventBody(t, forever, s.signature, []byte("hello")), "SignatureDoesNotMatch"},
		{"another seed", eventBody(t, local, EmptyHash, []byte("hello")), "SignatureDoesNotMatch"},
		{"the same again", append(good(), good()...), "SignatureDoesNotMatch"},
		{"cut", good()[:50], "IncompleteBody"},
		{"cut in its lengths", good()[:5], "IncompleteBody"},
		{"damaged", func() []byte { b := good(); b[len(b)-6] ^= 1; return b }(), "SerializationException"},
		{"too short", put(good(), 0, 15), "SerializationException"},
		{"too long", put(good(), 0, 1<<30), "SerializationException"},
		{"headers too long", put(good(), 4, 1<<20), "SerializationException"},
		{"headers past its end", put(good(), 4, 1<<10), "SerializationException"},
		{"headers just past its end", put(good(), 4, uint32(len(good())-15)), "SerializationException"},
		{"no headers", message(nil), "SerializationException"},
		{"no date", message(eventstream.Headers{{Name: ":chunk-signature", Value: eventstream.BytesValue("x")}}), "SerializationException"},
		{"no signature", message(eventstream.Headers{{Name: ":date", Value: date}}), "SerializationException"},
		{"a text as signature", message(eventstream.Headers{{Name: ":date", Value: date}, {Name: ":chunk-signature", Value: eventstream.StringValue("x")}}), "SerializationException"},
	}
	for _, test := range tests {
		again, _, err := s.Body(local.SecretAccessKey, local, r, bytes.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(again)
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != test.code {
			t.Errorf("%s: got %v, want %s", test.name, err, test.code)
		}
	}
}
