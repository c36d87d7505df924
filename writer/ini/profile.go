package ini

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// StaticProfile is the section of the credentials file that always holds the
// current keys themselves, for people, scripts and readers told to use it. It
// is not meant to be selected by an SDK, which would never read it again.
const StaticProfile = "brs-static"

// CheckProfile refuses the names of profiles that cannot stand in a section header,
// and ours.
func CheckProfile(name string) error {
	switch {
	case name == "", strings.TrimSpace(name) != name,
		strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune("[]#;", r) }):
		return fmt.Errorf("profile name %q: cannot be written to an AWS config file", name)
	case name == StaticProfile:
		return fmt.Errorf("profile name %q: is what brs-exec calls the section with the current keys; choose another", name)
	}
	return nil
}

// CheckListed is CheckProfile for a name of many: it also refuses those that not every
// AWS parser finds in both files, or that others inherit from.
func CheckListed(name string) error {
	first, _, more := strings.Cut(name, " ")
	switch {
	case unquote(name) != name:
		return fmt.Errorf("profile name %q: AWS parsers take the quotes off", name)
	case more && strings.HasPrefix(first, "profile"):
		return fmt.Errorf("profile name %q: AWS parsers take %q for no part of a name", name, first)
	case strings.Contains(name, "  "):
		return fmt.Errorf("profile name %q: not every AWS parser tells one space from two", name)
	case name == "DEFAULT":
		return fmt.Errorf("profile name %q: in Python all other profiles inherit from it", name)
	}
	return CheckProfile(name)
}

// ProfileOf returns the profile that a section is to any AWS parser: the name
// after "profile" in a config file, in quotes or not; the name alone in a
// credentials file, for [default], and for Go v1 in a config file too. (botocore
// takes any first word that begins with "profile".)
func ProfileOf(section string) string {
	name := strings.TrimSpace(section)
	if i := strings.IndexAny(name, " \t"); i > 0 && strings.HasPrefix(name, "profile") {
		name = strings.TrimSpace(name[i:])
		if n := len(name); n > 1 && name[0] == '"' && name[n-1] == '"' {
			return unescape.Replace(name[1 : n-1])
		}
	}
	return unquote(name)
}

// Within double quotes botocore takes a backslash off what it splits and quotes by.
var (
	escape   = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	unescape = strings.NewReplacer(`\\`, `\`, `\"`, `"`)
)

// ConfigHeaders returns the section names under which all parsers find a profile in
// a config file: with a space or one of those characters in it, botocore wants quotes
// and Go none.
func ConfigHeaders(profile string) []string {
	switch {
	case profile == "default":
		return []string{profile}
	case strings.ContainsAny(profile, " \t'\"\\"):
		return []string{`profile "` + escape.Replace(profile) + `"`, "profile " + profile}
	}
	return []string{"profile " + profile}
}

// oneSpace makes equal what all parsers take for one section name: they do not care
// how much space follows the first word.
func oneSpace(name string) string {
	if i := strings.IndexAny(name, " \t"); i >= 0 {
		return name[:i] + " " + strings.TrimSpace(name[i:])
	}
	return name + " "
}

// Check refuses credentials without keys, and values that the parsers of
// credentials files would not give back as they are. No AWS key has such.
func Check(c aws.Credentials) error {
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

// Pairs returns the settings of credentials; token may be "".
func Pairs(id, secret, token string) [][2]string {
	pairs := [][2]string{{AccessKeyID, id}, {SecretAccessKey, secret}}
	if token != "" {
		pairs = append(pairs, [2]string{SessionToken, token})
	}
	return pairs
}
