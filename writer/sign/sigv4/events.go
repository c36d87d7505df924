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

// The least and the most bytes of a message: lengths and checksums, and with them what
// the format allows of headers and payload.
const (
	leastMessage = 16
	mostMessage  = leastMessage + 128<<10 + 16<<20
)

// events reads a body of event stream messages: it checks each and signs it again. A
// message has the one that is meant as its payload, and as headers its date and
// signature, which covers the one before.
//
// https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html
type events struct {
	from, to         *Signature
	secret, toSecret string // the client's, and the one to sign with
	came, goes       string // the last signatures
	in               *bufio.Reader
	payload          []byte // used again for each message
	out              bytes.Buffer
	err              error
}

func newEvents(from, to *Signature, secret, toSecret string, body io.Reader) *events {
	return &events{from: from, to: to, secret: secret, toSecret: toSecret, came: from.signature, goes: to.signature, in: bufio.NewReader(body)}
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
	if length < leastMessage || length > mostMessage || headers > length-leastMessage {
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
	text := func(s *Signature, previous string) string {
		return symmetric + "-PAYLOAD\n" + at.Format(timeFormat) + "\n" + s.scope(at.Format(dateFormat)) + "\n" + previous + hashes
	}
	check, err := e.from.key("", e.secret, at.Format(dateFormat))
	if err != nil {
		return err
	}
	if !check.matches(text(e.from, e.came), came) {
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "The signature of an event does not match the one we calculated.")
	}
	sign, err := e.to.key("", e.toSecret, at.Format(dateFormat))
	if err != nil {
		return err
	}
	goes, err := sign.sign(text(e.to, e.goes))
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
