package source

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

	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
)

// ssoToken is an entry of ~/.aws/sso/cache, which the AWS CLI and all SDKs share:
// what a login has brought, and the client that it was brought to.
type ssoToken struct {
	StartURL, Region       string
	Access, Refresh        string // Refresh is "" if it cannot be renewed
	Ends                   time.Time
	ClientID, ClientSecret string
	Registered             time.Time // when the client's registration ends; zero if that is not known

	other map[string]json.RawMessage // what other tools have put there
}

// The keys, in the order in which the AWS CLI writes them: awscli/botocore/tokens.py.
const (
	keyStartURL     = "startUrl"
	keyRegion       = "region"
	keyAccess       = "accessToken"
	keyEnds         = "expiresAt"
	keyClientID     = "clientId"
	keyClientSecret = "clientSecret"
	keyRegistered   = "registrationExpiresAt"
	keyRefresh      = "refreshToken"
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

// lives says whether the access token can still be used.
func (t *ssoToken) lives(now time.Time) bool { return now.Before(t.Ends) }

// renewable says whether there is what a new access token can be had with.
func (t *ssoToken) renewable(now time.Time) bool {
	return t.Refresh != "" && t.ClientID != "" && t.ClientSecret != "" && (t.Registered.IsZero() || now.Before(t.Registered))
}

// end is the latest time up to which the token is of use without a person. Of one
// that is renewed it is the end of the client's registration: how long AWS renews
// it is a setting of the organization's that no one is told.
func (t *ssoToken) end(now time.Time) time.Time {
	if t.renewable(now) {
		return t.Registered
	}
	return t.Ends
}

func (t *ssoToken) secrets() []string { return []string{t.Access, t.Refresh, t.ClientSecret} }

// readToken reads an entry. Its errors hold nothing of what is in it.
func readToken(path string) (*ssoToken, error) {
	for try := 1; ; try++ {
		text, err := readSome(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, errNoToken
		case err != nil:
			return nil, fmt.Errorf("%s: %w", path, deepest(err))
		}
		t, err := parseToken(text)
		if err == nil {
			return t, nil
		}
		if try == halfTries {
			return nil, fmt.Errorf("%s: %w", path, err)
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

func parseToken(text []byte) (*ssoToken, error) {
	t := &ssoToken{}
	if json.Unmarshal(text, &t.other) != nil {
		return nil, errors.New("is not the JSON of an SSO token")
	}
	var ends, registered string
	for key, into := range map[string]*string{
		keyStartURL: &t.StartURL, keyRegion: &t.Region, keyAccess: &t.Access, keyRefresh: &t.Refresh,
		keyEnds: &ends, keyClientID: &t.ClientID, keyClientSecret: &t.ClientSecret, keyRegistered: &registered,
	} {
		value, ok := t.other[key]
		if ok && json.Unmarshal(value, into) != nil {
			return nil, fmt.Errorf("%s is no text", key)
		}
		delete(t.other, key)
	}
	if t.Access == "" {
		return nil, fmt.Errorf("has no %s", keyAccess)
	}
	var err error
	if t.Ends, err = parseUTC(ends); err != nil {
		return nil, fmt.Errorf("has no time in %s", keyEnds)
	}
	t.Registered, _ = parseUTC(registered)
	return t, nil
}

// parseUTC also reads what versions of the AWS CLI before 2.9 wrote.
func parseUTC(s string) (time.Time, error) {
	if rest, ok := strings.CutSuffix(s, "UTC"); ok {
		s = rest + "Z"
	}
	return parseTime(s)
}

// format is the text of an entry, byte for byte as the AWS CLI writes it, with
// what other tools have put there at its end.
func (t *ssoToken) format() []byte {
	var b bytes.Buffer
	add := func(key string, value []byte) {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s: %s", quote(key), value)
	}
	text := func(key, value string) {
		if value != "" {
			add(key, quote(value))
		}
	}
	moment := func(key string, at time.Time) {
		if !at.IsZero() {
			text(key, at.UTC().Format("2006-01-02T15:04:05Z"))
		}
	}
	text(keyStartURL, t.StartURL)
	text(keyRegion, t.Region)
	text(keyAccess, t.Access)
	moment(keyEnds, t.Ends)
	text(keyClientID, t.ClientID)
	text(keyClientSecret, t.ClientSecret)
	moment(keyRegistered, t.Registered)
	text(keyRefresh, t.Refresh)
	for _, key := range slices.Sorted(maps.Keys(t.other)) {
		add(key, t.other[key])
	}
	return []byte("{" + b.String() + "}")
}

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
func (t *ssoToken) write(path string) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	text := t.format()
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

// tokenPath is where the entry of a session is: named after the session, in the
// older form after the start URL.
func tokenPath(key string) (string, error) {
	path, err := ssocreds.StandardCachedTokenFilepath(key)
	if err != nil {
		return "", errors.New("no home directory is known for the cache of SSO tokens")
	}
	return path, nil
}
