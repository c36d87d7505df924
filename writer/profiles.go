package writer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"brs-exec/writer/process"
)

// credentialKeys are the settings that would have an SDK get the credentials of
// a profile from somewhere else, or take another role with ours.
var credentialKeys = []string{
	"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_security_token",
	"credential_process",
	"role_arn", "source_profile", "credential_source", "role_session_name", "external_id", "mfa_serial", "duration_seconds",
	"web_identity_token_file",
	"sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name",
	"login_session",
}

// profileOf returns the profile that a section is to any AWS parser: the name
// after "profile" in a config file, in quotes or not; the name alone in a
// credentials file, for [default], and for Go v1 in a config file too. (botocore
// takes any first word that begins with "profile".)
func profileOf(section string) string {
	name := strings.TrimSpace(section)
	if i := strings.IndexAny(name, " \t"); i > 0 && strings.HasPrefix(name, "profile") {
		name = strings.TrimSpace(name[i:])
	}
	if n := len(name); n > 1 && (name[0] == '"' || name[0] == '\'') && name[n-1] == name[0] {
		name = name[1 : n-1]
	}
	return name
}

func (p *Private) isOurs(section string) bool { return slices.Contains(p.names, profileOf(section)) }

// isInherited tells the sections that ours must not get credentials from:
// Python's configparser adds [DEFAULT] to every section, and StaticProfile is
// ours alone, so a user's section of the name loses to it.
func isInherited(section string) bool {
	name := profileOf(section)
	return name == "DEFAULT" || name == StaticProfile
}

// configText returns the config file for the child: the user's, with our profiles'
// credential settings replaced.
func (p *Private) configText(user *iniFile) []byte {
	f := user.clone()
	f.dropBOM()
	pairs := p.processPair()
	if p.opt.Region != "" {
		pairs = append(pairs, [2]string{"region", p.opt.Region})
	}
	f.remove(isInherited, credentialKeys...)
	f.remove(p.isOurs, without(credentialKeys, pairs)...)
	f.set(p.isOurs, pairs...)
	for _, name := range p.names {
		for _, header := range configHeaders(name) {
			if !slices.ContainsFunc(f.sections(), func(have string) bool { return sameHeader(have, header) }) {
				if !addSpelling(f, header, profileBody(f, name)) {
					// Without us the child would go by [default], and so by what
					// else stands there: s3, services, endpoint_url, retries.
					like := []iniLine(nil)
					if name == DefaultProfile {
						like = defaultBody(f)
					}
					if !addSpelling(f, header, like) {
						f.add(header, pairs...)
					}
				}
			}
		}
	}
	return f.bytes()
}

// sameHeader tells whether all parsers take two section names for one: they do
// not care how much space follows the first word.
func sameHeader(a, b string) bool {
	word := func(s string) (first, rest string) {
		if i := strings.IndexAny(s, " \t"); i >= 0 {
			return s[:i], strings.TrimSpace(s[i:])
		}
		return s, ""
	}
	a1, a2 := word(a)
	b1, b2 := word(b)
	return a1 == b1 && a2 == b2
}

// addSpelling adds a section for a profile that some parsers cannot find. If
// others can, under another spelling, it gets the same settings: one that came
// later in the file with fewer would hide the user's from them. It tells whether
// there were any.
func addSpelling(f *iniFile, header string, body []iniLine) bool {
	if body == nil {
		return false
	}
	f.add(header)
	f.lines = append(f.lines, body...)
	f.endLines()
	return true
}

// profileBody returns the settings of the last section that is a profile to
// config file parsers, nil if there is none.
func profileBody(f *iniFile, profile string) []iniLine {
	return lastBody(f, func(section string) bool {
		return profileOf(section) == profile && strings.HasPrefix(section, "profile")
	})
}

func defaultBody(f *iniFile) []iniLine {
	return lastBody(f, func(section string) bool { return profileOf(section) == "default" })
}

func lastBody(f *iniFile, is func(section string) bool) (body []iniLine) {
	in := false
	for _, l := range f.lines {
		if l.kind == lineHeader {
			if in = is(l.name); in {
				body = nil
			}
		} else if in && l.kind != lineOther {
			body = append(body, l)
		}
	}
	return body
}

// configHeaders returns the section names under which all parsers find a
// profile: with a space in it, botocore wants quotes and Go none.
func configHeaders(profile string) []string {
	switch {
	case profile == "default":
		return []string{profile}
	case strings.ContainsAny(profile, " \t"):
		return []string{`profile "` + profile + `"`, "profile " + profile}
	}
	return []string{"profile " + profile}
}

// prepareCredentials edits the user's credentials file as far as it is the same
// for every set.
func (p *Private) prepareCredentials() {
	f := p.user
	f.dropBOM()
	keys := credentialKeys
	if p.opt.Region != "" {
		// It is in the config file, which some parsers let this one override.
		keys = append(slices.Clone(keys), "region")
	}
	f.removeSections(func(section string) bool { return profileOf(section) == StaticProfile })
	f.remove(isInherited, credentialKeys...)
	f.remove(p.isOurs, keys...)
	for _, name := range p.names {
		if !slices.Contains(f.sections(), name) {
			f.add(name)
		}
	}
	f.set(p.isOurs, p.processPair()...)
}

// credentials returns the credentials file for a set.
func (p *Private) credentials(set process.Set) []byte {
	f := p.user.clone()
	keys := keyPairs(set)
	if p.opt.Mode == File {
		f.set(p.isOurs, keys...)
	}
	f.add(StaticProfile, keys...)
	note := "# kept fresh by brs-exec; this set does not end"
	if !set.Expires.IsZero() {
		note = "# kept fresh by brs-exec; this set ends " + set.Expires.UTC().Format(time.RFC3339)
	}
	header := len(f.lines) - len(keys)
	f.lines = slices.Insert(f.lines, header, iniLine{text: note + f.eol})
	return f.bytes()
}

func keyPairs(set process.Set) [][2]string {
	pairs := [][2]string{{"aws_access_key_id", set.AccessKeyID}, {"aws_secret_access_key", set.SecretAccessKey}}
	if set.SessionToken != "" {
		pairs = append(pairs, [2]string{"aws_session_token", set.SessionToken})
	}
	return pairs
}

func (p *Private) processPair() [][2]string {
	if p.command == "" {
		return nil
	}
	return [][2]string{{"credential_process", p.command}}
}

func without(keys []string, pairs [][2]string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
		return slices.ContainsFunc(pairs, func(pair [2]string) bool { return pair[0] == key })
	})
}

// checkProfileName refuses names that cannot stand in a section header.
func checkProfileName(name string) error {
	switch {
	case name == "", strings.TrimSpace(name) != name,
		strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune("[]#;", r) }):
		return fmt.Errorf("profile name %q: cannot be written to an AWS config file", name)
	case name == StaticProfile:
		return fmt.Errorf("profile name %q: is what brs-exec calls the section with the current keys; choose another", name)
	}
	return nil
}
