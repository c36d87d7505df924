package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

// errNoToken is a cache without an entry for the session.
var errNoToken = errors.New("there is no token")

// readEntry reads an entry of a cache of logins, ~/.aws/sso/cache or ~/.aws/login/cache.
// Its errors hold nothing of what is in it.
func readEntry[T any](path string, parse func([]byte) (T, error)) (none T, err error) {
	for try := 1; ; try++ {
		text, err := readSome(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return none, errNoToken
		case err != nil:
			return none, fmt.Errorf("%s: %w", path, deepest(err))
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
			return fmt.Errorf("%s is no text", key)
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

// writeEntry replaces the entry at path, so that no reader sees half of it. Where only
// the file itself can be written, because it is mounted on its own, say, it is
// written in place, as the AWS CLI does.
func (u userDirs) writeEntry(path string, text []byte) error {
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

// lockToken takes the turn of this process to replace a token, for as long as the
// file is open. Without a file there are no turns.
func (u userDirs) lockToken(ctx context.Context, kind, path string) (*os.File, error) {
	waiting, cancel := context.WithTimeout(ctx, renewWait)
	defer cancel()
	sum := sha256.Sum256([]byte("brs-exec SSO\x00" + path))
	lock, err := u.lockShared(waiting, kind+"-"+hex.EncodeToString(sum[:8]))
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("wait for another process to renew the login: %w", ctx.Err())
	}
	return lock, nil
}
