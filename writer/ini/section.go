package ini

import (
	"slices"
	"strings"
)

// Clone returns a copy that can be edited without the original.
func (s *Section) Clone() *Section {
	c := *s
	c.lines = slices.Clone(s.lines)
	return &c
}

// Bytes returns the section's text, its header with it.
func (s *Section) Bytes() []byte {
	w := writer{eol: s.eol}
	w.section(s)
	return w.text
}

// rawName returns what is between the brackets of the header, spaces too: for
// Python they are part of the name.
func (s *Section) rawName() string {
	_, name, _ := strings.Cut(s.header, "[")
	name, _, _ = strings.Cut(name, "]")
	return name
}

// IsNamed tells whether all parsers find the section by the name: for Python spaces
// in the brackets are part of it, but after a first word.
func (s *Section) IsNamed(name string) bool {
	raw := s.rawName()
	return raw == name || strings.Contains(name, " ") && oneSpace(raw) == oneSpace(name)
}

// SameHeader tells whether two headers are the same, spaces too.
func (s *Section) SameHeader(t *Section) bool { return s.rawName() == t.rawName() }

// Get returns the value of a key: the last one, as later lines override earlier ones.
func (s *Section) Get(key string) (value string, ok bool) {
	for _, l := range s.lines {
		if l.name == key {
			_, value, ok = splitKey(strings.TrimRight(l.text, "\r\n"))
		}
	}
	return value, ok
}

// Has tells whether the section has one of the keys.
func (s *Section) Has(keys ...string) bool {
	return slices.ContainsFunc(s.lines, func(l line) bool { return l.name != "" && slices.Contains(keys, l.name) })
}

// HasSettings tells whether there is more in the section than comments and blank
// lines.
func (s *Section) HasSettings() bool { return s.ofSettings() > 0 }

// ofSettings returns the index after the last line that is not blank or a comment.
func (s *Section) ofSettings() int {
	n := len(s.lines)
	for n > 0 && s.lines[n-1].kind == otherLine {
		n--
	}
	return n
}

// Remove takes the keys out, each with the lines that belong to it. Comments and
// blank lines stay.
func (s *Section) Remove(keys ...string) {
	gone, goneMore := false, false // the open key, and what Go holds open below it
	kept := s.lines[:0:0]
	for _, l := range s.lines {
		ours := slices.Contains(keys, l.name)
		switch {
		case l.kind == keyLine:
			gone, goneMore = ours, false
		case l.kind == moreLine && l.name != "":
			goneMore = ours
		}
		if l.kind == otherLine || !gone && !(goneMore && l.kind == moreLine) {
			kept = append(kept, l)
		}
	}
	s.lines = kept
}

// Set sets keys (pairs of key and value, in order): in place where all parsers find the
// key, else after the one before, the first after the header. Further lines of the old
// value, and the key's repetitions, go.
func (s *Section) Set(pairs ...[2]string) {
	at, indent := 0, s.indent()
	for _, pair := range pairs {
		if i := s.find(pair[0]); i >= 0 {
			at, indent = i, indentOf(s.lines[i].text)
		}
		l := s.keyLine(indent, pair)
		l.name = "" // until the old lines are out
		s.lines = slices.Insert(s.lines, at, l)
		s.Remove(pair[0])
		at = s.find("")
		s.lines[at].name = pair[0]
		at++
	}
}

// Replace sets pairs as Set does, and takes the other keys out.
func (s *Section) Replace(keys []string, pairs ...[2]string) {
	s.Remove(slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
		return slices.ContainsFunc(pairs, func(pair [2]string) bool { return pair[0] == key })
	})...)
	s.Set(pairs...)
}

// find returns the index of the first line that sets the key to all parsers, -1 if there
// is none.
func (s *Section) find(key string) int {
	return slices.IndexFunc(s.lines, func(l line) bool { return l.kind == keyLine && l.name == key && !l.nested })
}

func (s *Section) keyLine(indent string, pair [2]string) line {
	return line{text: indent + pair[0] + " = " + pair[1] + s.eol, kind: keyLine, name: pair[0]}
}

// indent returns the white space before the first key. A key that is put above
// it with less would take it for a line of its own value.
func (s *Section) indent() string {
	for _, l := range s.lines {
		if l.kind == keyLine {
			return indentOf(l.text)
		}
	}
	return ""
}

// Clear takes out all lines below the header.
func (s *Section) Clear() { s.lines = nil }

// Comment puts a comment line (without its "# ") below the header.
func (s *Section) Comment(text string) {
	s.lines = slices.Insert(s.lines, 0, line{text: "# " + text + s.eol})
}

// AddSettings appends the settings of another section, without its comments.
func (s *Section) AddSettings(of *Section) {
	for _, l := range of.lines {
		if l.kind != otherLine {
			s.lines = append(s.lines, l)
		}
	}
}

// CopyKeys gives the section the keys that another one has, as they stand there, and
// none of the keys that that one does not have: each where it is now, or after the
// one before.
func (s *Section) CopyKeys(from *Section, keys ...string) {
	at := 0
	for _, key := range keys {
		lines := from.linesOf(key)
		if i := s.find(key); i >= 0 {
			at = i
		}
		s.Remove(key)
		at = min(at, len(s.lines))
		s.lines = slices.Insert(s.lines, at, lines...)
		at += len(lines)
	}
}

// linesOf returns the lines of a key, with those that belong to it.
func (s *Section) linesOf(key string) (lines []line) {
	in := false
	for _, l := range s.lines {
		if l.kind == keyLine {
			in = l.name == key
		}
		if in && l.kind != otherLine {
			lines = append(lines, l)
		}
	}
	return lines
}

// Settings returns the section as it is read: values by lower-case key, of a key that
// is given twice the later one, and below a key without a value the nested settings
// that are indented further. Quotes around a value are taken off, and comments
// behind it; the text of credential_process stays as it stands, as it is a shell's.
func (s *Section) Settings() (values map[string]string, nested map[string]map[string]string) {
	values, nested = map[string]string{}, map[string]map[string]string{}
	open := "" // the key that more lines belong to
	for _, l := range s.lines {
		text := strings.TrimRight(l.text, "\r\n")
		key, value := setting(text)
		switch {
		case l.kind == keyLine:
			open, values[key] = key, value
		case l.kind != moreLine:
		case values[open] == "":
			if key == "" {
				continue
			}
			if nested[open] == nil {
				nested[open] = map[string]string{}
			}
			nested[open][key] = value
		case l.name == "" || open == CredentialProcess:
			values[open] += "\n" + strings.TrimSpace(text)
		default:
			open, values[key] = key, value
		}
	}
	return values, nested
}

func setting(text string) (key, value string) {
	key, value, ok := splitKey(text)
	if !ok {
		return "", ""
	}
	if key == CredentialProcess {
		return key, strings.TrimSpace(text[strings.IndexAny(text, "=:")+1:])
	}
	return key, unquote(value)
}

// unquote takes off the quotes around a value, as the SDK for Go does.
func unquote(v string) string {
	if n := len(v); n > 1 && (v[0] == '"' || v[0] == '\'') && v[n-1] == v[0] {
		return v[1 : n-1]
	}
	return v
}
