package sigv4

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// chunkSize is that of the chunks which are sent on. A signature stands before its
// chunk, so one chunk is held; and their size is fixed, so that the length of the body
// follows from that of the data. It is also what many clients send: then one hash
// serves the check and the new signature.
const chunkSize = 64 << 10

const (
	chunkExtension   = "chunk-signature"
	trailerSignature = "x-amz-trailer-signature"
)

// trailerLengths are those of the values in base64, of the checksums that can trail.
var trailerLengths = map[string]int{
	"x-amz-checksum-crc32":     8,
	"x-amz-checksum-crc32c":    8,
	"x-amz-checksum-crc64nvme": 12,
	"x-amz-checksum-sha1":      28,
	"x-amz-checksum-sha256":    44,
}

// signatureLength is that of a signature in a chunk.
func (s *Signature) signatureLength() int {
	if s.Asymmetric {
		return 144
	}
	return 64
}

func (s *Signature) chunkLength(size int) int64 {
	return int64(len(s.chunkHead(size, "")) + s.signatureLength() + 2*len("\r\n") + size)
}

func (s *Signature) chunkHead(size int, signature string) string {
	return strconv.FormatInt(int64(size), 16) + ";" + chunkExtension + "=" + signature
}

// dataLength is that of the data in the chunks, -1 if the request does not say.
func dataLength(r *Request) int64 {
	n, err := strconv.ParseUint(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 62)
	if err != nil {
		return -1
	}
	return int64(n)
}

// trailers are the names of the declared trailing headers, in lower case.
func trailers(r *Request) []string {
	var names []string
	for name := range strings.SplitSeq(strings.Join(r.Header.Values("X-Amz-Trailer"), ","), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// chunkedLength is the length of a body in chunks as [Signature.Body] makes it, -1 if
// it cannot be known.
func (s *Signature) chunkedLength(r *Request) int64 {
	data := dataLength(r)
	if data < 0 {
		return -1
	}
	length := data/chunkSize*s.chunkLength(chunkSize) + s.chunkLength(0)
	if rest := int(data % chunkSize); rest > 0 {
		length += s.chunkLength(rest)
	}
	if !s.trailed() {
		return length
	}
	for _, name := range trailers(r) {
		n, ok := trailerLengths[name]
		if !ok {
			return -1
		}
		length += int64(len(name) + len(":") + n + len("\r\n"))
	}
	return length + int64(len(trailerSignature)+len(":")+s.signatureLength()+len("\r\n"))
}

// chunks reads a body in chunks: it checks the client's and makes new ones.
type chunks struct {
	from, to    *Signature
	in          *bufio.Reader
	check, sign key
	came, goes  string   // the last signatures, which the next ones cover
	trailers    []string // that may still come
	left        int64    // of the data, -1 if unknown

	// Of the client's chunk:
	signature string    // what it says
	rest      int64     // what is to come of its data
	sum       hash.Hash // of what is no longer in buffer; nil if all is
	ended     bool      // it is the last one, without data

	buffer []byte // a new chunk
	out    []byte // what is to be read of it
	err    error  // what comes then
}

func newChunks(from, to *Signature, check, sign key, r *Request, body io.Reader) *chunks {
	return &chunks{
		from: from, to: to, in: bufio.NewReader(body), check: check, sign: sign,
		came: from.signature, goes: to.signature, trailers: trailers(r), left: dataLength(r),
	}
}

func (c *chunks) Read(p []byte) (int, error) {
	for len(c.out) == 0 {
		if c.err != nil {
			c.buffer = nil
			return 0, c.err
		}
		if c.out, c.err = c.next(); c.err == io.EOF && len(c.out) == 0 {
			c.out, c.err = c.last()
		}
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

// next is the next chunk with data, or io.EOF if there is none.
func (c *chunks) next() ([]byte, error) {
	head := int(c.to.chunkLength(chunkSize)) - chunkSize - len("\r\n")
	if c.buffer == nil {
		size := int64(chunkSize)
		if c.left >= 0 {
			size = max(1, min(size, c.left))
		}
		c.buffer = make([]byte, head+int(size)+len("\r\n"))
	}
	data := c.buffer[head : len(c.buffer)-len("\r\n")]
	n := 0
	start := 0                  // where what is in data of the client's chunk begins
	var whole [sha256.Size]byte // the hash of data[:wholeLength], if that is one of the client's
	wholeLength := 0
	for n < len(data) && !c.ended {
		if c.rest == 0 {
			if err := c.head(); err != nil {
				return nil, err
			}
			start = n
			continue
		}
		part := data[n:min(int64(len(data)), int64(n)+c.rest)]
		if _, err := io.ReadFull(c.in, part); err != nil {
			return nil, incomplete(err)
		}
		n += len(part)
		if c.rest -= int64(len(part)); c.rest > 0 {
			break
		}
		var sum [sha256.Size]byte
		if c.sum == nil {
			sum = sha256.Sum256(data[start:n])
			if start == 0 {
				whole, wholeLength = sum, n
			}
		} else {
			c.sum.Write(data[start:n])
			c.sum.Sum(sum[:0])
			c.sum = nil
		}
		if err := c.verify("-PAYLOAD", EmptyHash+"\n"+hex.EncodeToString(sum[:]), c.signature); err != nil {
			return nil, err
		}
		if err := c.newline(); err != nil {
			return nil, err
		}
	}
	if n == 0 {
		return nil, io.EOF
	}
	if c.rest > 0 {
		if c.sum == nil {
			c.sum = sha256.New()
		}
		c.sum.Write(data[start:n])
	}
	if wholeLength != n {
		whole = sha256.Sum256(data[:n])
	}
	line, err := c.newHead(n, whole)
	if err != nil {
		return nil, err
	}
	begin := head - len(line)
	copy(c.buffer[begin:], line)
	copy(data[n:n+len("\r\n")], "\r\n")
	return c.buffer[begin : head+n+len("\r\n")], nil
}

// head reads the first line of a chunk.
func (c *chunks) head() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	size, extensions, _ := strings.Cut(line, ";")
	n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 62)
	if err != nil {
		return malformedChunk("The size of a chunk is no hexadecimal number.")
	}
	c.signature = ""
	for extension := range strings.SplitSeq(extensions, ";") {
		if name, value, _ := strings.Cut(strings.TrimSpace(extension), "="); name == chunkExtension {
			c.signature = value
		}
	}
	c.rest, c.ended = int64(n), n == 0
	if c.left >= 0 {
		if c.left -= c.rest; c.left < 0 {
			return malformedChunk("The chunks hold more than X-Amz-Decoded-Content-Length says.")
		}
	}
	return nil
}

// last is the chunk without data, which ends the body, and the trailing headers.
func (c *chunks) last() ([]byte, error) {
	if c.left > 0 {
		return nil, incomplete(io.EOF)
	}
	if err := c.verify("-PAYLOAD", EmptyHash+"\n"+EmptyHash, c.signature); err != nil {
		return nil, err
	}
	out, err := c.newHead(0, sha256.Sum256(nil))
	if err != nil {
		return nil, err
	}
	if c.to.trailed() {
		trailer, err := c.trailer()
		if err != nil {
			return nil, err
		}
		out += trailer
	}
	switch err := c.newline(); {
	case err == nil:
		if _, err := c.in.ReadByte(); err == nil {
			return nil, malformedChunk("The body goes on after its last chunk.")
		} else if err != io.EOF {
			return nil, err
		}
	case !errors.Is(err, errIncomplete): // which is how some clients end
		return nil, err
	}
	return []byte(out + "\r\n"), io.EOF
}

// trailer reads the trailing headers and their signature, and is the new ones. Some
// clients have an empty line in front of the signature, as in an example of AWS's.
func (c *chunks) trailer() (string, error) {
	var lines []string
	for {
		line, err := c.line()
		if err != nil {
			return "", err
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if name == trailerSignature {
			return c.newTrailer(lines, value)
		}
		if name == "" && !ok && len(lines) > 0 {
			continue
		}
		i := slices.Index(c.trailers, name)
		if n, known := trailerLengths[name]; i < 0 || !ok || known && n != len(value) {
			return "", malformedTrailer()
		}
		c.trailers = slices.Delete(c.trailers, i, i+1)
		lines = append(lines, name+":"+value)
	}
}

func (c *chunks) newTrailer(lines []string, signature string) (string, error) {
	if len(c.trailers) > 0 {
		return "", malformedTrailer()
	}
	var out, canonical string
	for _, line := range lines {
		canonical += line + "\n"
		out += line + "\r\n"
	}
	sum := hash256([]byte(canonical))
	if err := c.verify("-TRAILER", sum, signature); err != nil {
		return "", err
	}
	again, err := c.renew("-TRAILER", sum)
	return out + trailerSignature + ":" + again + "\r\n", err
}

// newHead is the first line of a new chunk.
func (c *chunks) newHead(size int, sum [sha256.Size]byte) (string, error) {
	signature, err := c.renew("-PAYLOAD", EmptyHash+"\n"+hex.EncodeToString(sum[:]))
	return c.to.chunkHead(size, signature) + "\r\n", err
}

// chunkText is what is signed of a chunk.
func (s *Signature) chunkText(kind, previous, hashes string) string {
	return s.algorithm() + kind + "\n" + s.Time.Format(timeFormat) + "\n" + s.scope(s.Date) + "\n" + previous + "\n" + hashes
}

func (c *chunks) verify(kind, hashes, signature string) error {
	if !c.check.matches(c.from.chunkText(kind, c.came, hashes), signature) {
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "The signature of a chunk does not match the one we calculated.")
	}
	c.came = strings.TrimRight(signature, "*")
	return nil
}

func (c *chunks) renew(kind, hashes string) (string, error) {
	signature, err := c.sign.sign(c.to.chunkText(kind, c.goes, hashes))
	c.goes = signature
	return signature + strings.Repeat("*", c.to.signatureLength()-len(signature)), err
}

// line reads a line, of which there is an end.
func (c *chunks) line() (string, error) {
	line, err := c.in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		return "", malformedChunk("A line of the chunks is too long.")
	}
	if err != nil {
		return "", incomplete(err)
	}
	return strings.TrimSuffix(string(line[:len(line)-1]), "\r"), nil
}

// newline reads the end of a chunk.
func (c *chunks) newline() error {
	var end [2]byte
	if _, err := io.ReadFull(c.in, end[:]); err != nil {
		return incomplete(err)
	}
	if string(end[:]) != "\r\n" {
		return malformedChunk("A chunk is not followed by a line's end.")
	}
	return nil
}

var errIncomplete error = refuse(http.StatusBadRequest, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header")

// incomplete is the error of a body that ends too early; other errors are those of the
// connection.
func incomplete(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errIncomplete
	}
	return err
}

func malformedChunk(message string) error {
	return refuse(http.StatusBadRequest, "InvalidRequest", message)
}

func malformedTrailer() error {
	return refuse(http.StatusBadRequest, "MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema.")
}
