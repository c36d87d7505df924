package writer

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"brs-exec/writer/process"
)

// setKeys are the settings of a set of credentials. aws_security_token is the
// session token's old name; botocore asks for it first.
var setKeys = []string{"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_security_token"}

// expiryKeys are what other tools write beside a set, in RFC 3339. No SDK reads
// one, so none is added; one that is there is kept true, for the tools' sake.
var expiryKeys = []string{"aws_expiration", "aws_session_expiration", "aws_credential_expiration", "x_security_token_expires"}

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
	return p.spells(l) && (p.canonical(l) || hasKey(f.section(i), setKeys...))
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
	_, legacy := f.get(func(name string) bool { return name == "DEFAULT" }, "aws_security_token")
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
			pairs = append(pairs, [2]string{"aws_security_token", set.SessionToken})
		}
		f.add(header, pairs...)
	}
}

// setSection writes the set to f, which is one section.
func setSection(f *iniFile, set process.Set, legacy bool) {
	pairs := keyPairs(set)
	if set.SessionToken != "" && (legacy || hasKey(f, "aws_security_token")) {
		pairs = append(pairs, [2]string{"aws_security_token", set.SessionToken})
	}
	for _, key := range expiryKeys {
		if !set.Expires.IsZero() && hasKey(f, key) {
			pairs = append(pairs, [2]string{key, set.Expires.UTC().Format(time.RFC3339)})
		}
	}
	f.remove(anySection, without(slices.Concat(setKeys, expiryKeys), pairs)...)
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
	id, secret, token := value(setKeys[0]), value(setKeys[1]), value(setKeys[2])
	if token == "" {
		token = value(setKeys[3])
	}
	return fingerprint(id, secret, token), secret != "" && token == ""
}

// before is what stood in a profile's sections before we wrote to them.
type before struct {
	NoFile bool `json:",omitempty"`
	// Sections are the bytes of those that were there, written to or not.
	Sections [][]byte `json:",omitempty"`
	// Of a section that is added at the end of the file: whether a blank line
	// goes above it, and whether the line before had no end.
	Blank, NoEnd bool `json:",omitempty"`
	// What of an end it had: "\r" or nothing.
	HalfEnd string `json:",omitempty"`
}

// before returns what stands in the file, which is there or not.
func (p sharedSection) before(f *iniFile, there bool) *before {
	b := &before{NoFile: !there}
	for i, l := range f.lines {
		if p.spells(l) {
			b.Sections = append(b.Sections, f.section(i).bytes())
		}
	}
	if n := len(f.lines); n > 0 {
		last := f.lines[n-1].text
		b.Blank = strings.TrimSpace(strings.TrimPrefix(last, bom)) != ""
		if b.NoEnd = !strings.HasSuffix(last, "\n"); b.NoEnd {
			b.HalfEnd = last[len(strings.TrimRight(last, "\r")):]
		}
	}
	return b
}

// remove takes the keys out of the profile's sections that hold a set of ours,
// and the sections with them that were not there before and have nothing else.
func (p sharedSection) remove(f *iniFile, b *before, ours func(fp string) bool) {
	was := b.parse()
	for i := 0; i < len(f.lines); i++ {
		if !p.spells(f.lines[i]) {
			continue
		}
		was.take(f.lines[i]) // one that was there keeps its header
		p.removeAt(f, i, b, was.taken == nil, ours)
	}
}

// removeAt takes our keys out of the section whose header is at line index i.
func (p sharedSection) removeAt(f *iniFile, i int, b *before, added bool, ours func(string) bool) {
	section := f.section(i)
	if fp, _ := fingerprintIn(section); fp == "" || !ours(fp) {
		return
	}
	section.remove(anySection, slices.Concat(setKeys, expiryKeys)...)
	f.replaceSection(i, section)
	if !added || slices.ContainsFunc(section.lines[1:], func(l iniLine) bool { return l.kind != lineOther }) {
		return
	}
	start := i
	if b.Blank && i > 0 && strings.TrimSpace(f.lines[i-1].text) == "" {
		start--
	}
	f.lines = slices.Delete(f.lines, start, i+1)
	if n := len(f.lines); b.NoEnd && n == start && n > 0 {
		f.lines[n-1].text = strings.TrimRight(f.lines[n-1].text, "\r\n") + b.HalfEnd
	}
}

// restore puts back what stood in the profile's sections, and takes out those
// that were added. Keys of others stay; it tells whether it left such where
// there were some before.
func (p sharedSection) restore(f *iniFile, b *before, set process.Set, ours func(fp string) bool) (left bool) {
	was := b.parse()
	for i := 0; i < len(f.lines); i++ {
		if !p.spells(f.lines[i]) {
			continue
		}
		was.take(f.lines[i])
		section := f.section(i)
		fp, _ := fingerprintIn(section)
		switch {
		case was.taken == nil:
			p.removeAt(f, i, b, true, ours)
		case fp != "" && !ours(fp):
			left = left || hasKey(was.taken, setKeys...)
		default:
			f.replaceSection(i, restored(section, was.taken, set, i+len(section.lines) == len(f.lines)))
		}
	}
	for _, gone := range was.sections {
		if hasKey(gone, setKeys...) {
			if n := len(f.lines); n > 0 && strings.TrimSpace(f.lines[n-1].text) != "" {
				f.lines = append(f.lines, iniLine{text: f.eol})
			}
			f.lines = append(f.lines, gone.lines...)
			f.endLines()
		}
	}
	return left
}

// sectionQueue are sections that were there, to be found again in their order.
type sectionQueue struct {
	sections []*iniFile
	taken    *iniFile // by the last take; nil if there was none with the header
}

func (b *before) parse() *sectionQueue {
	q := &sectionQueue{}
	for _, text := range b.Sections {
		if f, err := parseINI("", text); err == nil { // it came out of a file that parsed
			q.sections = append(q.sections, f)
		}
	}
	return q
}

func (q *sectionQueue) take(header iniLine) {
	i := slices.IndexFunc(q.sections, func(s *iniFile) bool { return rawName(s.lines[0]) == rawName(header) })
	if q.taken = nil; i >= 0 {
		q.taken = q.sections[i]
		q.sections = slices.Delete(q.sections, i, i+1)
	}
}

// restored returns the section as it was, if nothing but our writing the set
// has changed it; else with the keys as they were and the changes of others.
func restored(now, was *iniFile, set process.Set, last bool) *iniFile {
	was.eol = now.eol
	for _, legacy := range []bool{false, true} {
		written := was.clone()
		setSection(written, set, legacy)
		got, want := string(now.bytes()), string(written.bytes())
		if got == want && last {
			return was
		}
		// What others add below may come with blank lines, or an end of line.
		if trimmed := strings.TrimRight(got, "\r\n"); trimmed == strings.TrimRight(want, "\r\n") {
			text := strings.TrimRight(string(was.bytes()), "\r\n") + got[len(trimmed):]
			if f, err := parseINI("", []byte(text)); err == nil {
				return f
			}
		}
	}
	restoreKeys(now, was)
	return now
}

// restoreKeys gives now the keys that was has, and only these: each where it is
// now, or after the one before.
func restoreKeys(now, was *iniFile) {
	at := 1
	for _, key := range slices.Concat(setKeys, expiryKeys) {
		lines := was.keyLines(key)
		if i := slices.IndexFunc(now.lines, func(l iniLine) bool { return l.kind == lineKey && l.name == key }); i >= 0 {
			at = i
		}
		now.remove(anySection, key)
		at = min(at, len(now.lines))
		now.lines = slices.Insert(now.lines, at, lines...)
		at += len(lines)
	}
	now.endLines()
}

// keyLines returns the lines of a key, with those that belong to it.
func (f *iniFile) keyLines(key string) (lines []iniLine) {
	in := false
	for _, l := range f.lines {
		if l.kind == lineHeader || l.kind == lineKey {
			in = l.kind == lineKey && l.name == key
		}
		if in && l.kind != lineOther {
			lines = append(lines, l)
		}
	}
	return lines
}
