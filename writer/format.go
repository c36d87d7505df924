package writer

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// FormatProcess returns the set as the answer of a credential_process
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html),
// one line, with its end. The expiration is early by min(120 s, a tenth of the
// life left at now), as package process says. It fails if the set has ended.
func FormatProcess(c aws.Credentials, now time.Time) ([]byte, error) {
	return toSet(c, now).Line(now)
}

// FormatEnv returns the set as lines for a POSIX shell to eval. A variable that
// the set has no value for is unset, so that no set is mixed with the one that
// a shell had before.
func FormatEnv(c aws.Credentials) []byte {
	expiration := ""
	if c.CanExpire {
		expiration = c.Expires.UTC().Format("2006-01-02T15:04:05Z")
	}
	var b strings.Builder
	for _, v := range [][2]string{
		{"AWS_ACCESS_KEY_ID", c.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", c.SecretAccessKey},
		{"AWS_SESSION_TOKEN", c.SessionToken},
		{"AWS_CREDENTIAL_EXPIRATION", expiration},
	} {
		if v[1] == "" {
			fmt.Fprintf(&b, "unset %s\n", v[0])
		} else {
			fmt.Fprintf(&b, "export %s=%s\n", v[0], shellQuote(v[1]))
		}
	}
	return []byte(b.String())
}

// shellQuote quotes for POSIX sh: nothing is special in single quotes but the
// closing one.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// FormatINI returns the set as a section of an AWS credentials file. It fails
// if the section name or a value cannot be written to one.
func FormatINI(c aws.Credentials, section string) ([]byte, error) {
	if section == "" || strings.ContainsAny(section, "[]#;\r\n\x00") {
		return nil, fmt.Errorf("section name %q: cannot be written to a credentials file", section)
	}
	if err := checkSet(c); err != nil {
		return nil, err
	}
	f := &iniFile{eol: "\n"}
	set := toSet(c, time.Time{})
	f.add(section, keyPairs(set)...)
	if !set.Expires.IsZero() {
		f.lines[0].text += "# ends " + set.Expires.Format(time.RFC3339) + "\n"
	}
	return f.bytes(), nil
}

// checkSet refuses a set without keys, and values that the parsers of
// credentials files would not give back as they are. No AWS key has such.
func checkSet(c aws.Credentials) error {
	if c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return errors.New("credentials without an access key id or a secret key")
	}
	for _, v := range [][2]string{
		{"access key id", c.AccessKeyID}, {"secret access key", c.SecretAccessKey}, {"session token", c.SessionToken},
	} {
		if !plainValue(v[1]) {
			return fmt.Errorf("the %s has a character that a credentials file cannot hold", v[0])
		}
	}
	return nil
}

func plainValue(s string) bool {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return false
	}
	// Go takes quotes off, and does not survive a lone one.
	n := len(s)
	return n == 0 || s[0] != s[n-1] || s[0] != '"' && s[0] != '\''
}
