package shared

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"crypto/sha256"
	"encoding/hex"
	"slices"

	"brs-exec.example/brs-exec/writer/ini"
)

// ownKeys are the settings that change with each refresh. No SDK reads an expiry, so
// none is added; one that is there is kept true, for the tools that do.
var ownKeys = slices.Concat(ini.Keys, ini.Expiries)

// section is a profile in a file that others write to as well.
type section struct {
	name string
	// headers are the section names under which the clients that read such a file
	// find the profile; one that is missing is added.
	headers []string
}

func newSection(name string, inConfig bool) section {
	p := section{name: name, headers: []string{name}}
	if inConfig {
		p.headers = ini.ConfigHeaders(name)
	}
	return p
}

// canonical tells whether all clients find the profile in the section: for
// Python spaces in the brackets are part of the name.
func (p section) canonical(s *ini.Section) bool {
	return slices.ContainsFunc(p.headers, s.IsNamed)
}

// find returns the sections of the profile, in any spelling.
func (p section) find(f *ini.File) []*ini.Section {
	return slices.DeleteFunc(f.Find(p.name, p.headers...), func(s *ini.Section) bool {
		return !p.canonical(s) && ini.ProfileOf(s.Name) != p.name
	})
}

// held returns the sections to write to: one of another spelling only if it has keys
// already, which a client that understands the spelling would go on using.
func (p section) held(f *ini.File) []*ini.Section {
	return slices.DeleteFunc(p.find(f), func(s *ini.Section) bool { return !p.canonical(s) && !s.Has(ini.Keys...) })
}

// legacyToken tells whether clients find the old name of the session token in every
// section: Python adds [DEFAULT] to each.
func legacyToken(f *ini.File) bool {
	return slices.ContainsFunc(f.Find("DEFAULT"), func(s *ini.Section) bool { return s.Name == "DEFAULT" && s.Has(ini.SecurityToken) })
}

// credentials are what a section is to hold.
type credentials struct {
	id, secret, token string
	expires           time.Time // zero if they do not expire
}

func keysOf(c aws.Credentials) credentials {
	keys := credentials{id: c.AccessKeyID, secret: c.SecretAccessKey, token: c.SessionToken}
	if c.CanExpire {
		keys.expires = c.Expires.Round(0).UTC()
	}
	return keys
}

// apply writes the credentials to all sections of the profile, and to a new one at the
// end if clients would find none. What is there already keeps its bytes.
func (p section) apply(f *ini.File, creds credentials) {
	legacy := legacyToken(f)
	sections := p.held(f)
	for _, s := range sections {
		writeKeys(s, creds, legacy)
	}
	for _, header := range p.headers {
		if !slices.ContainsFunc(sections, func(s *ini.Section) bool { return s.IsNamed(header) }) {
			writeKeys(f.Add(header), creds, legacy)
		}
	}
}

// writeKeys writes the credentials to a section.
func writeKeys(s *ini.Section, creds credentials, legacy bool) {
	pairs := ini.Pairs(creds.id, creds.secret, creds.token)
	if creds.token != "" && (legacy || s.Has(ini.SecurityToken)) {
		pairs = append(pairs, [2]string{ini.SecurityToken, creds.token})
	}
	for _, key := range ini.Expiries {
		if was, ok := s.Get(key); ok && !creds.expires.IsZero() {
			pairs = append(pairs, [2]string{key, ini.FormatLike(was, creds.expires)})
		}
	}
	s.Replace(ownKeys, pairs...)
}

// A fingerprint tells credentials from others without giving them away; "" is that
// of a section without keys.
func fingerprint(id, secret, token string) string {
	if id == "" && secret == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(id + "\x00" + secret + "\x00" + token))
	return hex.EncodeToString(sum[:16])
}

func fingerprintOf(creds credentials) string {
	return fingerprint(creds.id, creds.secret, creds.token)
}

// fingerprintIn returns the fingerprint of the credentials in a section, and whether
// they are long-term keys: those without a token, which nobody can make again.
func fingerprintIn(s *ini.Section) (fp string, longTerm bool) {
	value := func(key string) string {
		v, _ := s.Get(key)
		return v
	}
	id, secret, token := value(ini.AccessKeyID), value(ini.SecretAccessKey), value(ini.SessionToken)
	if token == "" {
		token = value(ini.SecurityToken)
	}
	return fingerprint(id, secret, token), secret != "" && token == ""
}
