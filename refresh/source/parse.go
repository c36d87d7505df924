package source

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/writer/ini"
)

// Commands and files are read alike. The errors say what there is in place of credentials,
// after "prints" or "holds", and hold nothing of what was parsed: any part of it may
// be a secret.

var (
	errNoKeys    = errors.New("neither JSON with credentials nor lines such as AWS_ACCESS_KEY_ID=…")
	errTime      = errors.New("an expiry that is not a time such as 2006-01-02T15:04:05Z")
	errVersion   = errors.New("a credential_process Version other than 1")
	errBadKeys   = errors.New("an access key, secret or token with a space or control character in it")
	errWrongType = errors.New("JSON with a value of the wrong type")
	errNoID      = errors.New("no access key id")
	errNoSecret  = errors.New("no secret access key")

	// errTokenless is for a key that AWS's naming says is temporary: IAM User Guide,
	// "Understanding unique ID prefixes".
	errTokenless = errors.New("a temporary access key without its session token")
)

// parseOutput reads JSON or lines. now is when they were made, for output that has
// a lifetime in place of an expiry.
func parseOutput(out []byte, now time.Time) (aws.Credentials, error) {
	got, err := parseIssue(out, now)
	return got.Credentials, err
}

func parseIssue(out []byte, now time.Time) (issue, error) {
	out = bytes.TrimSpace(bytes.TrimPrefix(out, []byte("\xef\xbb\xbf")))
	r := reading{now: now}
	parse := r.lines
	if bytes.HasPrefix(out, []byte("{")) {
		parse = r.json
	}
	err := parse(out)
	switch {
	case err != nil:
	case r.creds.AccessKeyID == "" && r.creds.SecretAccessKey == "":
		err = errNoKeys
	default:
		err = whole(r.creds)
	}
	if err != nil {
		return issue{}, err
	}
	r.creds.Source = "Command"
	return issuedTo(r.creds, r.arn), nil
}

// whole says what is missing from credentials, as it is also while someone writes it.
func whole(c aws.Credentials) error {
	switch {
	case c.AccessKeyID == "":
		return errNoID
	case c.SecretAccessKey == "":
		return errNoSecret
	case strings.ContainsFunc(c.AccessKeyID+c.SecretAccessKey+c.SessionToken, unprintable):
		return errBadKeys
	case tokenless(c):
		return errTokenless
	}
	return nil
}

func tokenless(c aws.Credentials) bool {
	return strings.HasPrefix(c.AccessKeyID, "ASIA") && c.SessionToken == ""
}

func unprintable(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }

// reading is credentials that are read part by part.
type reading struct {
	creds aws.Credentials
	arn   string // of the assumed role
	now   time.Time
}

// take takes the part that the environment variable of that name would hold, or an
// expiry by the name that a tool gives it. What is neither is passed over.
func (r *reading) take(name, value string) error {
	var into *string
	switch name = strings.ToUpper(name); name {
	case "AWS_ACCESS_KEY_ID":
		into = &r.creds.AccessKeyID
	case "AWS_SECRET_ACCESS_KEY":
		into = &r.creds.SecretAccessKey
	case "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN": // the older name
		into = &r.creds.SessionToken
	case "AWS_ACCOUNT_ID":
		into = &r.creds.AccountID
	default:
		if !slices.Contains(ini.Expiries, strings.ToLower(name)) || value == "" {
			return nil
		}
		t, err := parseTime(value)
		r.until(t)
		return err
	}
	if *into != "" && value != "" && *into != value {
		// Two of them: which key belongs to which token is anyone's guess.
		return fmt.Errorf("two values for %s", name)
	}
	*into = cmp.Or(value, *into)
	return nil
}

// until takes an expiry. Of two, the earlier is what another tool has left behind.
func (r *reading) until(t time.Time) {
	if t.After(r.creds.Expires) {
		r.creds.CanExpire, r.creds.Expires = true, t
	}
}

// maxSeconds keeps a time within what a Duration and RFC 3339 can say.
const maxSeconds = 100 * 365 * 24 * 3600

var zoned = []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700"}

// parseTime reads RFC 3339 and its relatives that tools print, without a zone in UTC
// (aws-mfa), and seconds or milliseconds since 1970, which their size tells apart.
func parseTime(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	for _, layout := range slices.Concat(zoned, ini.Zoneless) {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1970 && t.Year() <= 9999 {
			return t.UTC(), nil
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil:
	case n > 1e8 && n < maxSeconds: // 1973 is no expiry of anything
		return time.UnixMilli(int64(n * 1000)).UTC(), nil
	case n > 1e11 && n < maxSeconds*1000:
		return time.UnixMilli(int64(n)).UTC(), nil
	}
	return time.Time{}, errTime
}
