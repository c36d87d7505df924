package sigv4

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/http"
	"time"

	"github.com/aws/smithy-go/eventstream"
)

// mostMessage and mostHeaders are the limits of the event stream format, in bytes.
const (
	mostMessage = 16 << 20
	mostHeaders = 128 << 10
	leastOfOne  = 16 // lengths and checksums
)

// events reads a body of event stream messages: it checks each and signs it again. A
// message has the one that is meant as its payload, and as headers its date and
// signature, which covers the one before.
//
// https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html
type events struct {
	s             *Signature
	secret, again string // secrets: the client's, and the one to sign with
	came, goes    string // the last signatures
	in            *bufio.Reader
	payload       []byte // used again for each message
	out           bytes.Buffer
	err           error
}

func (s *Signature) newEvents(again *Signature, secret, to string, body io.Reader) *events {
	return &events{s: s, secret: secret, again: to, came: s.signature, goes: again.signature, in: bufio.NewReader(body)}
}

func (e *events) Read(p []byte) (int, error) {
	for e.out.Len() == 0 {
		if e.err != nil {
			return 0, e.err
		}
		e.out.Reset()
		e.err = e.next()
	}
	return e.out.Read(p)
}

// next puts the next message in out.
func (e *events) next() error {
	prelude, err := e.in.Peek(8)
	if len(prelude) == 0 && err == io.EOF {
		return io.EOF
	}
	if err != nil {
		return incomplete(err)
	}
	length, headers := binary.BigEndian.Uint32(prelude), binary.BigEndian.Uint32(prelude[4:])
	if length < leastOfOne || length > mostMessage+mostHeaders+leastOfOne || headers > mostHeaders || headers > length-leastOfOne {
		return malformedEvent()
	}
	message, err := eventstream.NewDecoder().Decode(e.in, e.payload)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errIncomplete
	}
	if err != nil {
		return malformedEvent()
	}
	e.payload = message.Payload

	date, ok := message.Headers.Get(eventstream.DateHeader).(eventstream.TimestampValue)
	signature, signed := message.Headers.Get(eventstream.ChunkSignatureHeader).(eventstream.BytesValue)
	if !ok || !signed {
		return malformedEvent()
	}
	message.Headers.Del(eventstream.ChunkSignatureHeader)
	if err := eventstream.EncodeHeaders(&e.out, message.Headers); err != nil {
		return malformedEvent()
	}
	hashes := "\n" + hash256(e.out.Bytes()) + "\n" + hash256(message.Payload)
	e.out.Reset()

	// A stream can go on past midnight: date and scope are those of the message.
	at, came := time.Time(date).UTC(), hex.EncodeToString(signature)
	text := symmetric + "-PAYLOAD\n" + at.Format(timeFormat) + "\n" + e.s.scope(at.Format(dateFormat)) + "\n"
	check, err := e.s.key("", e.secret, at.Format(dateFormat))
	if err != nil {
		return err
	}
	if !check.matches(text+e.came+hashes, came) {
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "The signature of an event does not match the one we calculated.")
	}
	sign, err := e.s.key("", e.again, at.Format(dateFormat))
	if err != nil {
		return err
	}
	goes, err := sign.sign(text + e.goes + hashes)
	if err != nil {
		return err
	}
	e.came, e.goes = came, goes
	raw, err := hex.DecodeString(goes)
	if err != nil {
		return err
	}
	message.Headers.Set(eventstream.ChunkSignatureHeader, eventstream.BytesValue(raw))
	return eventstream.NewEncoder().Encode(&e.out, message)
}

func malformedEvent() error {
	return refuse(http.StatusBadRequest, "SerializationException", "A message of the event stream is malformed.")
}
