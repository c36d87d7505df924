package writer

import (
	"bytes"
	"slices"
	"strings"
)

// iniFile is a shared config or credentials file, line by line. Editing adds
// and takes out whole lines; all others keep their bytes.
//
// The AWS parsers disagree on details (botocore is Python's configparser, Go
// has two of its own). Where they do, a line counts as ours to take out if any
// of them would see our key in it, and as a section header if any would.
type iniFile struct {
	lines []iniLine
	eol   string // of the first line: "\n" or "\r\n"
}

type iniLine struct {
	text string // with its line end, if it has one
	kind lineKind
	name string // of a header: what is between the brackets; of a key: lower-case
}

type lineKind int

const (
	lineOther  lineKind = iota // blank or comment
	lineHeader                 // [name]
	lineKey                    // key = value
	// lineMore belongs to the key above it: indented further. If it has a
	// name, Go takes it for a key of its own.
	lineMore
)

func (f *iniFile) bytes() []byte {
	var b bytes.Buffer
	for _, l := range f.lines {
		b.WriteString(l.text)
	}
	return b.Bytes()
}

// sections returns the names of all sections in their order, duplicates too.
func (f *iniFile) sections() (names []string) {
	for _, l := range f.lines {
		if l.kind == lineHeader {
			names = append(names, l.name)
		}
	}
	return names
}

// get returns the value of a key in the sections whose name matches: of the
// last one that has it, as later lines override earlier ones.
func (f *iniFile) get(match func(name string) bool, key string) (value string, ok bool) {
	in := false
	for _, l := range f.lines {
		if l.kind == lineHeader {
			in = match(l.name)
		} else if in && l.name == key {
			_, value, ok = splitKey(strings.TrimRight(l.text, "\r\n"))
		}
	}
	return value, ok
}

// remove takes the keys out of every section whose name matches, each with the
// lines that belong to it. Comments and blank lines stay.
func (f *iniFile) remove(match func(name string) bool, keys ...string) {
	in := false
	gone, goneMore := false, false // the open key, and what Go holds open below it
	kept := f.lines[:0:0]
	for _, l := range f.lines {
		ours := in && slices.Contains(keys, l.name)
		switch {
		case l.kind == lineHeader:
			in, gone, goneMore = match(l.name), false, false
		case l.kind == lineKey:
			gone, goneMore = ours, false
		case l.kind == lineMore && l.name != "":
			goneMore = ours
		}
		if l.kind == lineOther || !gone && !(goneMore && l.kind == lineMore) {
			kept = append(kept, l)
		}
	}
	f.lines = kept
}

// removeSections takes out every section whose name matches, from its header
// to the line before the next header. Comments directly above the next header
// are that one's, and stay.
func (f *iniFile) removeSections(match func(name string) bool) {
	kept := f.lines[:0:0]
	for i := 0; i < len(f.lines); {
		if f.lines[i].kind != lineHeader || !match(f.lines[i].name) {
			kept = append(kept, f.lines[i])
			i++
			continue
		}
		end := i + 1
		last := end // after the section's last line that is not blank or a comment
		for ; end < len(f.lines) && f.lines[end].kind != lineHeader; end++ {
			if f.lines[end].kind != lineOther {
				last = end + 1
			}
		}
		if end == len(f.lines) {
			last = end
		}
		i = last
	}
	f.lines = kept
}

// set sets keys (pairs of key and value, in order) in every section whose name
// matches: in place where the key is, else after the header. Further lines of
// the old value, and the key's repetitions, go.
func (f *iniFile) set(match func(name string) bool, pairs ...[2]string) {
	for i := 0; i < len(f.lines); i++ {
		if f.lines[i].kind == lineHeader && match(f.lines[i].name) {
			f.setIn(i, pairs)
		}
	}
}

// setIn sets pairs in the section whose header is at line index header.
func (f *iniFile) setIn(header int, pairs [][2]string) {
	end := f.sectionEnd(header)
	body := &iniFile{lines: slices.Clone(f.lines[header+1 : end]), eol: f.eol}
	body.setBody(pairs)
	f.lines = slices.Concat(f.lines[:header+1], body.lines, f.lines[end:])
	f.endLines()
}

// sectionEnd returns the index after the last line of the section whose header
// is at line index header.
func (f *iniFile) sectionEnd(header int) int {
	end := header + 1
	for end < len(f.lines) && f.lines[end].kind != lineHeader {
		end++
	}
	return end
}

// setBody is set for lines without a header: the body of one section.
func (f *iniFile) setBody(pairs [][2]string) {
	indent := f.indent()
	at := 0 // where the next key that is missing goes: after the one before
	for _, pair := range pairs {
		key, value := pair[0], pair[1]
		if i := slices.IndexFunc(f.lines, func(l iniLine) bool { return l.kind == lineKey && l.name == key }); i >= 0 {
			at, indent = i, indentOf(f.lines[i].text)
		}
		// Under another name until the old lines are out.
		f.lines = slices.Insert(f.lines, at, iniLine{text: indent + key + " = " + value + f.eol, kind: lineKey})
		f.removeKey(key)
		at = slices.IndexFunc(f.lines, func(l iniLine) bool { return l.kind == lineKey && l.name == "" })
		f.lines[at].name = key
		at++
	}
}

// removeKey is remove for lines without a header: the body of one section.
func (f *iniFile) removeKey(key string) {
	whole := &iniFile{lines: append([]iniLine{{kind: lineHeader}}, f.lines...)}
	whole.remove(func(string) bool { return true }, key)
	f.lines = whole.lines[1:]
}

// indent returns the white space before the first key. A key that is put above
// it with less would take it for a line of its own value.
func (f *iniFile) indent() string {
	for _, l := range f.lines {
		if l.kind == lineKey {
			return indentOf(l.text)
		}
	}
	return ""
}

func indentOf(s string) string { return s[:len(s)-len(strings.TrimLeft(s, " \t"))] }

// add appends a section with the pairs.
func (f *iniFile) add(name string, pairs ...[2]string) {
	if n := len(f.lines); n > 0 && strings.TrimSpace(strings.TrimPrefix(f.lines[n-1].text, bom)) != "" {
		f.lines = append(f.lines, iniLine{text: f.eol})
	}
	f.lines = append(f.lines, iniLine{text: "[" + name + "]" + f.eol, kind: lineHeader, name: name})
	for _, pair := range pairs {
		f.lines = append(f.lines, iniLine{text: pair[0] + " = " + pair[1] + f.eol, kind: lineKey, name: pair[0]})
	}
	f.endLines()
}

// endLines ends the lines before others that have no end: once the last one.
func (f *iniFile) endLines() {
	for i := range f.lines[:max(0, len(f.lines)-1)] {
		if !strings.HasSuffix(f.lines[i].text, "\n") {
			f.lines[i].text = strings.TrimSuffix(f.lines[i].text, "\r") + f.eol
		}
	}
}

func (f *iniFile) clone() *iniFile { return &iniFile{lines: slices.Clone(f.lines), eol: f.eol} }

// dropBOM takes the byte order mark off, which neither Go nor botocore skips:
// the first section would not be there for them.
func (f *iniFile) dropBOM() {
	if len(f.lines) > 0 {
		f.lines[0].text = strings.TrimPrefix(f.lines[0].text, bom)
	}
}
