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
// version, the time to report as the expiration and the time the set really
// ends (both milliseconds since 1970, 0 for a set that never ends); the second
// is the JSON of the answer up to where "Expiration" goes:
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

// StateFile is the name of the state file in the run directory.
const StateFile = "state"

const magic = "brs-exec-state 1 "

// MaxEarly is the most by which the reported expiration precedes the real one.
// Go v1, Go v2 and C++ ask for new credentials only when the reported
// expiration has come, so a request signed just before it would arrive dead.
const MaxEarly = 120 * time.Second

// startupGrace is the least life a reported expiration must have left: several
// SDKs (botocore, JS, .NET, PHP) refuse an answer that has already expired when
// they look at it, which is some milliseconds after it was printed.
const startupGrace = time.Second

// A Set is one set of credentials as delivered to readers.
type Set struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string    // "" for long-term keys
	Delivered       time.Time // when readers could first see the set; its life is measured from here
	Expires         time.Time // local clock; zero for a set that never ends
}

// Early returns the expiration to report for the set: min(120 s, life/10)
// before it really ends. It is zero for a set that never ends.
func (s Set) Early() time.Time {
	if s.Expires.IsZero() {
		return time.Time{}
	}
	life := s.Expires.Sub(s.Delivered)
	return s.Expires.Add(-min(MaxEarly, max(0, life/10)))
}

// State returns the content of the state file for the set.
func (s Set) State() []byte {
	b := make([]byte, 0, 192+len(s.AccessKeyID)+len(s.SecretAccessKey)+len(s.SessionToken))
	b = append(b, magic...)
	b = strconv.AppendInt(b, millis(s.Early()), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, millis(s.Expires), 10)
	b = append(b, '\n')
	b = s.appendBody(b)
	return append(b, '\n')
}

// Line returns the credential_process answer for the set as it is to be given
// at now, with its line end. It fails if the set has ended.
func (s Set) Line(now time.Time) ([]byte, error) {
	b := s.appendBody(make([]byte, 0, 192+len(s.AccessKeyID)+len(s.SecretAccessKey)+len(s.SessionToken)))
	return finish(b, millis(s.Early()), millis(s.Expires), now)
}

// Output returns the line that `brs-exec credentials --run-dir dir` prints,
// with its line end: the format is that of
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html.
// It needs only the state file, so it goes on answering when brs-exec itself is
// gone, as long as the set lives. It fails if there is no state, if the set has
// ended or if dir is somebody else's; no error holds anything secret.
func Output(dir string, now time.Time) ([]byte, error) {
	data, err := readState(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("no credentials in " + dir + ": the brs-exec that kept them has ended; start the command under brs-exec again")
	}
	if err != nil {
		return nil, errors.New("read credentials: " + err.Error())
	}
	body, early, end, ok := parseState(data)
	if !ok {
		return nil, errors.New("read credentials " + dir + string(os.PathSeparator) + StateFile + ": not a state file of this version of brs-exec")
	}
	return finish(body, early, end, now)
}

func parseState(data []byte) (body []byte, early, end int64, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return nil, 0, 0, false
	}
	head, rest, ok := bytes.Cut(rest, []byte("\n"))
	if !ok {
		return nil, 0, 0, false
	}
	first, second, ok := bytes.Cut(head, []byte(" "))
	if !ok {
		return nil, 0, 0, false
	}
	early, err1 := strconv.ParseInt(string(first), 10, 64)
	end, err2 := strconv.ParseInt(string(second), 10, 64)
	body, tail, ok := bytes.Cut(rest, []byte("\n"))
	if err1 != nil || err2 != nil || !ok || len(tail) != 0 || len(body) == 0 || body[0] != '{' {
		return nil, 0, 0, false
	}
	// Clipped, so that appending the expiration cannot touch what follows.
	return body[:len(body):len(body)], early, end, true
}

// finish appends the expiration to report at now.
func finish(body []byte, early, end int64, now time.Time) ([]byte, error) {
	if end == 0 {
		return append(body, "}\n"...), nil
	}
	at := now.UnixMilli()
	if end <= at {
		return nil, errors.New("credentials ended at " + stamp(end) +
			" and there are no newer ones: brs-exec could not refresh them or is gone; see its messages, or start the command under brs-exec again")
	}
	report := early / 1000 * 1000 // the format has whole seconds
	if report-at < startupGrace.Milliseconds() {
		report = end / 1000 * 1000
		if report <= at { // the last second: up rather than into the past
			report += 1000
		}
	}
	body = append(body, `,"Expiration":"`...)
	body = append(body, stamp(report)...)
	return append(body, "\"}\n"...), nil
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05Z") }

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func (s Set) appendBody(b []byte) []byte {
	b = append(b, `{"Version":1,"AccessKeyId":`...)
	b = appendString(b, s.AccessKeyID)
	b = append(b, `,"SecretAccessKey":`...)
	b = appendString(b, s.SecretAccessKey)
	if s.SessionToken != "" {
		b = append(b, `,"SessionToken":`...)
		b = appendString(b, s.SessionToken)
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
