package ini

import (
	"bytes"
	"fmt"
	"strings"
)

// A ParseError says where a file is not what AWS parsers can read. It does not
// quote the line: that may hold a secret.
type ParseError struct {
	File    string
	Line    int // from 1
	Problem string
}

func (e *ParseError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Problem) }

const bom = "\ufeff"

// Parse reads a file that is to be edited; name is its name for a *ParseError. Not
// an error, as it is none to all AWS parsers: duplicate sections and keys, any
// spelling of a name, bytes that are not UTF-8.
func Parse(name string, data []byte) (*File, error) {
	f, perr := parse(data, true)
	if perr != nil {
		perr.File = name
		return nil, perr
	}
	return f, nil
}

// Read reads a file that is only read: sections of one name are one, and what Parse
// takes for an error is skipped, as the SDKs do it, after a broken header all up to the
// next one.
func Read(data []byte) *File {
	f, _ := parse(data, false)
	return f
}

// ReadSections reads the text of sections that are to stand in f.
func (f *File) ReadSections(text []byte) []*Section {
	sections := Read(text).Sections
	for _, s := range sections {
		s.eol = f.eol
	}
	return sections
}

func parse(data []byte, strict bool) (*File, *ParseError) {
	f := &File{eol: "\n"}
	lines := &f.preamble
	byName := map[string]*Section{}
	p := parser{}
	for number := 1; len(data) > 0; number++ {
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 {
			end = len(data)
		}
		text := string(data[:end])
		data = data[end:]
		content := text
		if number == 1 {
			if strings.HasSuffix(strings.TrimSuffix(text, "\n"), "\r") {
				f.eol = "\r\n"
			}
			content = strings.TrimPrefix(text, bom)
		}
		l, problem := p.line(strings.TrimRight(content, "\r\n"))
		if problem != "" && strict {
			return nil, &ParseError{Line: number, Problem: problem}
		}
		l.text = text
		if l.kind != headerLine {
			*lines = append(*lines, l)
			continue
		}
		s := byName[l.name]
		if s == nil || strict {
			s = &Section{Name: l.name, header: text, eol: f.eol}
			f.Sections, byName[l.name] = append(f.Sections, s), s
		}
		lines = &s.lines
	}
	return f, nil
}

// parser is what the meaning of a line depends on.
type parser struct {
	inSection bool
	open      bool // a key that further indented lines belong to
	indent    int  // of the open key
	goEmpty   bool // the key that Go holds open has an empty value: indented lines below nest
}

func (p *parser) line(s string) (l line, problem string) {
	trimmed := strings.TrimSpace(s)
	if strings.IndexByte(s, 0) >= 0 {
		return l, "not text: has a NUL byte (a file in UTF-16?)"
	}
	if trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' {
		return l, ""
	}
	if trimmed[0] == '[' {
		name, _, ok := strings.Cut(trimmed[1:], "]")
		*p = parser{inSection: ok}
		if !ok {
			return l, `section header without "]"`
		}
		return line{kind: headerLine, name: strings.TrimSpace(name)}, ""
	}
	if !p.inSection {
		return l, "a setting outside any [section]"
	}
	indent := len(indentOf(s))
	key, value, isKey := splitKey(s)
	if p.open && indent > p.indent {
		l.kind = moreLine
		if isKey && !p.goEmpty {
			l.name, p.goEmpty = key, value == ""
		}
		return l, ""
	}
	if !isKey {
		return l, "neither a [section], a key = value nor a comment"
	}
	l = line{kind: keyLine, name: key, nested: p.goEmpty && indent > 0}
	*p = parser{inSection: true, open: true, indent: indent, goEmpty: value == "" || l.nested}
	return l, ""
}

// splitKey splits a line at the first "=" or ":". A comment is one only after
// a space, as in keys and passwords "#" is an ordinary character.
func splitKey(s string) (key, value string, ok bool) {
	i := strings.IndexAny(s, "=:")
	if i < 0 {
		return "", "", false
	}
	key = strings.ToLower(strings.TrimSpace(s[:i]))
	value = s[i+1:]
	for j := 1; j < len(value); j++ {
		if (value[j] == '#' || value[j] == ';') && (value[j-1] == ' ' || value[j-1] == '\t') {
			value = value[:j-1]
			break
		}
	}
	return key, strings.TrimSpace(value), key != ""
}

func indentOf(s string) string { return s[:len(s)-len(strings.TrimLeft(s, " \t"))] }
