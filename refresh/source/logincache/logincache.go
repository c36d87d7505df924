// Package logincache reads and writes the AWS CLI's caches of logins, which all SDKs
// share: ~/.aws/sso/cache of `aws sso login`, ~/.aws/login/cache of `aws login`. It writes
// an entry byte for byte as the AWS CLI does, with what other tools have put there. Its
// errors hold nothing of what is in an entry.
package logincache

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// maxToken is far above any token, so that a wrong file is not read whole.
	maxToken = 1 << 20

	// halfWritten is how long a file is given that is not whole: version 2 of the
	// AWS CLI empties it, and then writes it.
	halfWritten = 50 * time.Millisecond
	halfTries   = 5
)

// errNoEntry is a cache without an entry for the session.
var errNoEntry = errors.New("there is no token")

// readEntry reads an entry.
func readEntry[T any](path string, parse func([]byte) (T, error)) (none T, err error) {
	for try := 1; ; try++ {
		text, err := readSome(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return none, errNoEntry
		case err != nil:
			return none, fmt.Errorf("%s: %w", path, errors.Unwrap(err))
		}
		t, err := parse(text)
		if err == nil {
			return t, nil
		}
		if try == halfTries {
			return none, fmt.Errorf("%s: %w", path, err)
		}
		time.Sleep(halfWritten)
	}
}

func readSome(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxToken))
}

// takeTexts moves what is known out of from.
func takeTexts(from map[string]json.RawMessage, into map[string]*string) error {
	for key, text := range into {
		value, ok := from[key]
		if ok && json.Unmarshal(value, text) != nil {
			return fmt.Errorf("%s is not text", key)
		}
		delete(from, key)
	}
	return nil
}

// object is the text of a JSON object, spaced as Python's json.dumps does it.
type object struct{ b bytes.Buffer }

func (o *object) add(key string, value []byte) {
	if o.b.Len() > 0 {
		o.b.WriteString(", ")
	}
	fmt.Fprintf(&o.b, "%s: %s", quote(key), value)
}

func (o *object) text(key, value string) {
	if value != "" {
		o.add(key, quote(value))
	}
}

func (o *object) moment(key string, at time.Time) {
	if !at.IsZero() {
		o.text(key, at.UTC().Format("2006-01-02T15:04:05Z"))
	}
}

func (o *object) rest(values map[string]json.RawMessage) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		o.add(key, values[key])
	}
}

func (o *object) bytes() []byte { return []byte("{" + o.b.String() + "}") }

// quote is JSON without the escapes that are for HTML.
func quote(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string, into memory
	return bytes.TrimSpace(b.Bytes())
}

// write replaces the entry at path, so that no reader sees half of it. Where only
// the file itself can be written, because it is mounted on its own, say, it is
// written in place, as the AWS CLI does.
func (u User) write(path string, text []byte) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := u.makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	err := replaceFile(path, text)
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) && !errors.Is(err, syscall.EBUSY) {
		return err
	}
	f, opened := os.OpenFile(path, os.O_RDWR, 0)
	if opened != nil {
		return err
	}
	defer f.Close()
	return writeInPlace(f, text)
}

// inPlace is a file that is written over (*os.File).
type inPlace interface {
	io.Reader
	io.WriterAt
	Truncate(size int64) error
	Sync() error
}

// writeInPlace makes text all that is in f. If it does not fit, what was there
// does, since its place is taken already: that is put back.
func writeInPlace(f inPlace, text []byte) error {
	old, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if err := overwrite(f, text); err != nil {
		return errors.Join(err, overwrite(f, old))
	}
	return nil
}

func overwrite(f inPlace, text []byte) error {
	if _, err := f.WriteAt(text, 0); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(text))); err != nil {
		return err
	}
	return f.Sync()
}

func replaceFile(path string, text []byte) (err error) {
	// The AWS CLI's own name for such a file: what reads *.json passes it over.
	f, err := os.CreateTemp(filepath.Dir(path), "brs-exec-*.tmp") // of mode 0600
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if info, err := os.Stat(path); err == nil {
		keepOwner(f, info)
	}
	if _, err = f.Write(text); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

var timeLayouts = []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05"}

// parseTime reads a time, without a zone in UTC, also as versions of the AWS CLI before
// 2.9 wrote it.
func parseTime(s string) (time.Time, error) {
	if rest, ok := strings.CutSuffix(s, "UTC"); ok {
		s = rest + "Z"
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1970 && t.Year() <= 9999 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("is not a time")
}
