package sign

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
)

// inMemory is how much of a body is kept in memory.
const inMemory = 64 << 10

// spooled is a body that was read to know its hash.
type spooled struct {
	hash   string // of SHA-256, in hex
	length int64
	memory []byte
	file   *os.File // nil: it is in memory
}

// spool reads a body to its end. Of a long one the rest is in a file that no other process can open.
func spool(body io.Reader, length int64) (_ *spooled, err error) {
	sum := sha256.New()
	b := &spooled{}
	if length >= 0 && length <= inMemory { // as most are
		b.memory, b.length = make([]byte, length), length
		if _, err := io.ReadFull(body, b.memory); err != nil {
			return nil, err
		}
		sum.Write(b.memory)
		b.hash = hex.EncodeToString(sum.Sum(nil))
		return b, nil
	}
	var buffer bytes.Buffer
	n, err := io.Copy(io.MultiWriter(&buffer, sum), io.LimitReader(body, inMemory))
	if err != nil {
		return nil, err
	}
	b.memory, b.length = buffer.Bytes(), n
	if n == inMemory {
		if err := b.spill(body, sum); err != nil {
			b.close()
			return nil, err
		}
	}
	b.hash = hex.EncodeToString(sum.Sum(nil))
	return b, nil
}

// fileError is an error of the file, not of the client.
type fileError struct{ error }

func (e fileError) Unwrap() error { return e.error }

// spill puts what is left of a body into a file, after what there is in memory.
func (b *spooled) spill(body io.Reader, sum io.Writer) (err error) {
	if b.file, err = os.CreateTemp("", "brs-exec-body-"); err != nil {
		return fileError{err}
	}
	if runtime.GOOS != "windows" { // there an open file stays
		os.Remove(b.file.Name())
	}
	if _, err := b.file.Write(b.memory); err != nil {
		return fileError{fmt.Errorf("write: %w", err)}
	}
	b.memory = nil
	failing := &failingWriter{w: b.file}
	n, err := io.Copy(io.MultiWriter(failing, sum), body)
	b.length += n
	if failing.err != nil {
		return fileError{failing.err}
	}
	return err
}

// failingWriter remembers its error, to tell it from that of a reader.
type failingWriter struct {
	w   io.Writer
	err error
}

func (f *failingWriter) Write(p []byte) (n int, err error) {
	n, err = f.w.Write(p)
	f.err = err
	return n, err
}

// reader reads the body from its begin, each time.
func (b *spooled) reader() io.Reader {
	if b.file != nil {
		return io.NewSectionReader(b.file, 0, b.length)
	}
	return bytes.NewReader(b.memory)
}

func (b *spooled) close() {
	if b.file != nil {
		b.file.Close()
		if runtime.GOOS == "windows" {
			os.Remove(b.file.Name())
		}
	}
}

// counter counts the bytes of a body and keeps its error.
type counter struct {
	io.ReadCloser
	n   *atomic.Int64
	err *atomic.Pointer[error] // of reading, but io.EOF
}

func (c *counter) Read(p []byte) (n int, err error) {
	n, err = c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	if err != nil && err != io.EOF && err != http.ErrBodyReadAfterClose && c.err != nil {
		c.err.Store(&err)
	}
	return n, err
}

// readCloser puts two together.
type readCloser struct {
	io.Reader
	io.Closer
}
