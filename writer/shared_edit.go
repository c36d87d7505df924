package writer

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"brs-exec/writer/ini"
	"brs-exec/writer/process"
)

// ownKeys are the settings that change with each set. No SDK reads an expiry, so
// none is added; one that is there is kept true, for the tools that do.
var ownKeys = slices.Concat(ini.Keys, ini.Expiries)

// sharedSection is a profile in a file that others write to as well.
type sharedSection struct {
	name string
	// headers are the section names under which the readers of such a file
	// find the profile; one that is missing is added.
	headers []string
}

func newSharedSection(name string, inConfig bool) sharedSection {
	p := sharedSection{name: name, headers: []string{name}}
	if inConfig {
		p.headers = configHeaders(name)
	}
	return p
}

// canonical tells whether all readers find the profile in the section: for
// Python spaces in the brackets are part of the name.
func (p sharedSection) canonical(l iniLine) bool {
	raw := rawName(l)
	return slices.ContainsFunc(p.headers, func(header string) bool {
		return raw == header || strings.Contains(header, " ") && sameHeader(raw, header)
	})
}

// rawName returns what is between the brackets of a header line.
func rawName(l iniLine) string {
	_, name, _ := strings.Cut(l.text, "[")
	name, _, _ = strings.Cut(name, "]")
	return name
}

// spells tells whether a line is a header of the profile, in any spelling.
func (p sharedSection) spells(l iniLine) bool {
	return l.kind == lineHeader && (p.canonical(l) || profileOf(l.name) == p.name)
}

// holds tells whether the section whose header is at line index i is one to
// write to: of another spelling only if it has keys already, which a reader
// that understands the spelling would go on using.
func (p sharedSection) holds(f *iniFile, i int) bool {
	l := f.lines[i]
	return p.spells(l) && (p.canonical(l) || hasKey(f.section(i), ini.Keys...))
}

// section returns the section whose header is at line index i, for itself.
func (f *iniFile) section(i int) *iniFile {
	return &iniFile{lines: slices.Clone(f.lines[i:f.sectionEnd(i)]), eol: f.eol}
}

func (f *iniFile) replaceSection(i int, section *iniFile) {
	f.lines = slices.Concat(f.lines[:i], section.lines, f.lines[f.sectionEnd(i):])
	f.endLines()
}

func hasKey(f *iniFile, keys ...string) bool {
	return slices.ContainsFunc(f.lines, func(l iniLine) bool { return l.kind != lineHeader && slices.Contains(keys, l.name) })
}

func anySection(string) bool { return true }

// apply writes the set to all sections of the profile, and to a new one at the
// end if readers would find none. What is there already keeps its bytes.
func (p sharedSection) apply(f *iniFile, set process.Set) {
	// Python adds [DEFAULT] to every section.
	_, legacy := f.get(func(name string) bool { return name == "DEFAULT" }, ini.SecurityToken)
	for i := 0; i < len(f.lines); i++ { // it gets longer
		if p.holds(f, i) {
			section := f.section(i)
			setSection(section, set, legacy)
			f.replaceSection(i, section)
		}
	}
	for _, header := range p.headers {
		alone := sharedSection{name: p.name, headers: []string{header}}
		if slices.ContainsFunc(f.lines, func(l iniLine) bool { return l.kind == lineHeader && alone.canonical(l) }) {
			continue
		}
		pairs := keyPairs(set)
		if legacy && set.SessionToken != "" {
			pairs = append(pairs, [2]string{ini.SecurityToken, set.SessionToken})
		}
		f.add(header, pairs...)
	}
}

// setSection writes the set to f, which is one section.
func setSection(f *iniFile, set process.Set, legacy bool) {
	pairs := keyPairs(set)
	if set.SessionToken != "" && (legacy || hasKey(f, ini.SecurityToken)) {
		pairs = append(pairs, [2]string{ini.SecurityToken, set.SessionToken})
	}
	for _, key := range ini.Expiries {
		if !set.Expires.IsZero() && hasKey(f, key) {
			was, _ := f.get(anySection, key)
			pairs = append(pairs, [2]string{key, ini.FormatLike(was, set.Expires)})
		}
	}
	f.remove(anySection, without(ownKeys, pairs)...)
	f.set(anySection, pairs...)
}

// A fingerprint tells one set from others without giving it away; "" is that of a
// section without keys.
func fingerprint(id, secret, token string) string {
	if id == "" && secret == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(id + "\x00" + secret + "\x00" + token))
	return hex.EncodeToString(sum[:16])
}

func fingerprintOf(set process.Set) string {
	return fingerprint(set.AccessKeyID, set.SecretAccessKey, set.SessionToken)
}

// fingerprintIn returns the fingerprint of the set in f, which is one section, and whether
// it is one for life: keys without a token, which nobody can make again.
func fingerprintIn(f *iniFile) (fp string, longTerm bool) {
	value := func(key string) string {
		v, _ := f.get(anySection, key)
		return v
	}
	id, secret, token := value(ini.AccessKeyID), value(ini.SecretAccessKey), value(ini.SessionToken)
	if token == "" {
		token = value(ini.SecurityToken)
	}
	return fingerprint(id, secret, token), secret != "" && token == ""
}
