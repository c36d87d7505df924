package writer

import (
	"bytes"
	"fmt"
	"strings"
)

// A parseError says where a file is not what AWS parsers can read. It does not
// quote the line: that may hold a secret.
type parseError struct {
	File    string
	Line    int // from 1
	Problem string
}

func (e *parseError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Problem) }

const bom = "\ufeff"

// parseINI reads data; file is the name for its *parseError. Not an error, as
// it is none to all AWS parsers: duplicate sections and keys, any spelling of
// a name, bytes that are not UTF-8.
func parseINI(file string, data []byte) (*iniFile, error) {
	f := &iniFile{eol: "\n"}
	p := iniParser{}
	for number := 1; len(data) > 0; number++ {
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 {
			end = len(data)
		}
		text := string(data[:end])
		data = data[end:]
		if number == 1 && strings.HasSuffix(strings.TrimSuffix(text, "\n"), "\r") {
			f.eol = "\r\n"
		}
		content := text
		if number == 1 {
			content = strings.TrimPrefix(text, bom)
		}
		line, problem := p.line(strings.TrimRight(content, "\r\n"))
		if problem != "" {
			return nil, &parseError{File: file, Line: number, Problem: problem}
		}
		line.text = text
		f.lines = append(f.lines, line)
	}
	return f, nil
}

// iniParser is what the meaning of a line depends on.
type iniParser struct {
	inSection bool
	open      bool // a key that further indented lines belong to
	indent    int  // of the open key
	goEmpty   bool // the key that Go holds open has an empty value: lines below nest
}

func (p *iniParser) line(s string) (l iniLine, problem string) {
	trimmed := strings.TrimSpace(s)
	if strings.IndexByte(s, 0) >= 0 {
		return l, "not text: has a NUL byte (a file in UTF-16?)"
	}
	if trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' {
		return l, ""
	}
	if trimmed[0] == '[' {
		name, _, ok := strings.Cut(trimmed[1:], "]")
		if !ok {
			return l, `section header without "]"`
		}
		*p = iniParser{inSection: true}
		return iniLine{kind: lineHeader, name: strings.TrimSpace(name)}, ""
	}
	if !p.inSection {
		return l, "a setting outside any [section]"
	}
	indent := len(indentOf(s))
	key, value, isKey := splitKey(s)
	if p.open && indent > p.indent {
		l.kind = lineMore
		if isKey && !p.goEmpty {
			l.name, p.goEmpty = key, value == ""
		}
		return l, ""
	}
	if !isKey {
		return l, "neither a [section], a key = value nor a comment"
	}
	*p = iniParser{inSection: true, open: true, indent: indent, goEmpty: value == ""}
	return iniLine{kind: lineKey, name: key}, ""
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
