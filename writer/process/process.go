// Package process holds what AWS SDKs get from a credential_process: one line
// of JSON, printed from a state file that the writer package keeps in the run
// directory.
//
// SDKs may start the process for every request, so this is the hot path: the
// package imports nothing but small parts of the standard library, has no
// package-level state, and renders everything that does not depend on the time
// when the state is written, not when it is read.
//
// The state file is text of two lines. The first is the format's name and
// version, the expiry to report and the real one (both milliseconds since 1970, 0
// for credentials that never expire); the second is the JSON of the answer up to where "Expiration" goes:
//
//	brs-exec-state 1 1767323045000 1767323165000
//	{"Version":1,"AccessKeyId":"…","SecretAccessKey":"…","SessionToken":"…"
package process

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"time"
)

// StateFile is the name of the state file in the run directory: that of the
// command's default profile. In a run with many profiles each has one of its own
// beside it, see [StateOf].
const StateFile = "state"

const magic = "brs-exec-state 1 "

// timestamp is how AWS writes an instant: UTC, whole seconds.
const timestamp = "2006-01-02T15:04:05Z"

// Credentials are credentials as they were delivered.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string    // "" for long-term keys
	Delivered       time.Time // when clients could first see them; their lifetime is measured from here
	Expires         time.Time // local clock; zero if they never expire
}

// A Read is the last reading of credentials by one delivery, as far as it is
// known. The zero value says that no client has read any.
type Read struct {
	KeyID string // access key id of the credentials that were read
	At    time.Time
}

// State returns the content of the state file.
func (c Credentials) State() []byte {
	b := make([]byte, 0, 192+len(c.AccessKeyID)+len(c.SecretAccessKey)+len(c.SessionToken))
	w := NewWindow(c.Delivered, c.Expires)
	b = append(b, magic...)
	b = strconv.AppendInt(b, millis(w.Early), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, millis(w.End), 10)
	b = append(b, '\n')
	b = c.appendBody(b)
	return append(b, '\n')
}

// Line returns the credential_process answer as it is to be given at now, with its
// line end. It fails if the credentials have expired.
func (c Credentials) Line(now time.Time) ([]byte, error) {
	b := c.appendBody(make([]byte, 0, 192+len(c.AccessKeyID)+len(c.SecretAccessKey)+len(c.SessionToken)))
	return finish(b, NewWindow(c.Delivered, c.Expires), now)
}

// Output returns the line that `brs-exec credentials --run-dir dir` prints,
// with its line end: the format is that of
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html.
// It needs only the state file, so it goes on answering when brs-exec itself is
// gone, until the credentials expire. It fails if there is no state, if they have
// expired or if dir is somebody else's; no error holds anything secret.
func Output(dir string, now time.Time) ([]byte, error) { return OutputOf(dir, "", now) }

// OutputOf returns what `brs-exec credentials --run-dir dir --profile profile`
// prints: Output of one of the profiles of a run. profile is its name, or the
// [Word] that stands for it in a command line; "" is the command's default.
func OutputOf(dir, profile string, now time.Time) ([]byte, error) {
	name := StateOf(profile)
	if isWord(profile) {
		name = StateFile + "-" + profile
	}
	data, err := readState(dir, name)
	if errors.Is(err, os.ErrNotExist) && isWord(profile) && name != StateOf(profile) { // a person typed the name
		name = StateOf(profile)
		data, err = readState(dir, name)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, noState(dir, profile)
	}
	if err != nil {
		return nil, errors.New("read credentials: " + err.Error())
	}
	body, w, ok := parseState(data)
	if !ok {
		return nil, errors.New("read credentials " + dir + string(os.PathSeparator) + name + ": not a state file of this version of brs-exec")
	}
	return finish(body, w, now)
}

func noState(dir, profile string) error {
	if _, err := os.Lstat(dir); err != nil || profile == "" {
		return errors.New("no credentials in " + dir + ": the brs-exec that kept them has exited; start the command under brs-exec again")
	}
	return errors.New("no credentials of profile " + strconv.Quote(profile) + " in " + dir + ": brs-exec has none for it yet, or no such profile; see its messages")
}

func parseState(data []byte) (body []byte, w Window, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return nil, w, false
	}
	head, rest, ok := bytes.Cut(rest, []byte("\n"))
	if !ok {
		return nil, w, false
	}
	first, second, ok := bytes.Cut(head, []byte(" "))
	if !ok {
		return nil, w, false
	}
	early, err1 := strconv.ParseInt(string(first), 10, 64)
	end, err2 := strconv.ParseInt(string(second), 10, 64)
	body, tail, ok := bytes.Cut(rest, []byte("\n"))
	if err1 != nil || err2 != nil || !ok || len(tail) != 0 || len(body) == 0 || body[0] != '{' {
		return nil, w, false
	}
	if end != 0 {
		w = Window{Early: time.UnixMilli(early), End: time.UnixMilli(end)}
	}
	// Clipped, so that appending the expiration cannot touch what follows.
	return body[:len(body):len(body)], w, true
}

// finish appends the expiry to report at now.
func finish(body []byte, w Window, now time.Time) ([]byte, error) {
	expiry, ok := w.Reported(now)
	switch {
	case !ok:
		return nil, errors.New("credentials expired at " + w.End.UTC().Format(timestamp) +
			" and there are no newer ones: brs-exec could not refresh them or is gone; see its messages, or start the command under brs-exec again")
	case expiry.IsZero():
		return append(body, "}\n"...), nil
	}
	body = append(body, `,"Expiration":"`...)
	body = expiry.AppendFormat(body, timestamp)
	return append(body, "\"}\n"...), nil
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func (c Credentials) appendBody(b []byte) []byte {
	b = append(b, `{"Version":1,"AccessKeyId":`...)
	b = appendString(b, c.AccessKeyID)
	b = append(b, `,"SecretAccessKey":`...)
	b = appendString(b, c.SecretAccessKey)
	if c.SessionToken != "" {
		b = append(b, `,"SessionToken":`...)
		b = appendString(b, c.SessionToken)
	}
	return b
}

// appendString appends s as a JSON string. encoding/json would do, but loading
// it costs more than all the rest of this package.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s { // an invalid byte comes as U+FFFD, as in encoding/json
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20 || r == 0x7f:
			b = append(b, `\u00`...)
			b = append(b, hex[r>>4], hex[r&0xf])
		default:
			b = append(b, string(r)...)
		}
	}
	return append(b, '"')
}
