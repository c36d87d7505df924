package writer

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/writer/ini"
)

// FormatProcess returns the credentials as the answer of a credential_process
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html),
// one line, with its end. The expiry is early by min(120 s, a tenth of the lifetime
// remaining at now), as package process says. It fails if they have expired.
func FormatProcess(c aws.Credentials, now time.Time) ([]byte, error) {
	return credentialsOf(c, now).Line(now)
}

// FormatEnv returns the credentials as lines for a POSIX shell to eval. A variable
// that they have no value for is unset, so that they are not mixed with those that
// the shell had before.
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

// FormatINI returns the credentials as a section of an AWS credentials file. It fails
// if the section name or a value cannot be written to one.
func FormatINI(c aws.Credentials, section string) ([]byte, error) {
	if section == "" || strings.ContainsAny(section, "[]#;\r\n\x00") {
		return nil, fmt.Errorf("section name %q: cannot be written to a credentials file", section)
	}
	if err := ini.Check(c); err != nil {
		return nil, err
	}
	f := ini.Read(nil)
	s := f.Add(section, ini.Pairs(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)...)
	if c.CanExpire {
		s.Comment("expires " + c.Expires.Round(0).UTC().Format(time.RFC3339))
	}
	return f.Bytes(), nil
}
