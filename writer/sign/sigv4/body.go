package sigv4

import (
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// chunked tells of a body in chunks, each with its signature.
func (s *Signature) chunked() bool {
	return strings.TrimSuffix(s.Payload, "-TRAILER") == streaming+s.algorithm()+"-PAYLOAD"
}

// trailed tells of chunks with trailing headers, which have a signature, too.
func (s *Signature) trailed() bool { return strings.HasSuffix(s.Payload, "-TRAILER") }

// events tells of a body of event stream messages, each with its signature.
func (s *Signature) events() bool {
	return !s.Asymmetric && s.Payload == streaming+symmetric+"-EVENTS"
}

// Body is the body of the renewed request and its length, -1 if unknown. A body whose
// parts are signed is checked with secret part by part, and signed anew with keys;
// any other one is body itself. It holds one part, 64 KiB of a chunk or one message, and
// reads nothing before it is read.
//
// A part that does not match is an *[Error] of Read before the last part has been read,
// so that the service gets no complete body and stores nothing.
func (s *Signature) Body(secret string, keys aws.Credentials, renewed *Request, body io.Reader) (io.Reader, int64, error) {
	if !s.chunked() && !s.events() {
		return body, renewed.Length, nil
	}
	from := *s
	if s.form.path != nil {
		from.Region = s.checked
	}
	to, err := Parse(renewed)
	if err != nil {
		return nil, 0, err
	}
	if s.events() {
		return newEvents(&from, to, secret, keys.SecretAccessKey, body), -1, nil
	}
	check, err := from.key(from.KeyID, secret, from.Date)
	if err != nil {
		return nil, 0, err
	}
	sign, err := to.key(to.KeyID, keys.SecretAccessKey, to.Date)
	if err != nil {
		return nil, 0, err
	}
	return newChunks(&from, to, check, sign, renewed, body), s.chunkedLength(renewed), nil
}
