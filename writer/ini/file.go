package ini

import (
	"slices"
	"strings"
)

// File is a shared config or credentials file. Editing adds and takes out whole
// lines; all others keep their bytes.
//
// The AWS parsers disagree on details (botocore is Python's configparser, Go
// has two of its own). Where they do, a line counts as ours to take out if any
// of them would see our key in it, and as a section header if any would.
type File struct {
	Sections []*Section // in their order, duplicates too

	preamble []line // above the first section
	eol      string // of the first line: "\n" or "\r\n"
	index    map[string][]int
	indexed  int // so many sections are in the index
}

// Section is a header with the lines down to the next one.
type Section struct {
	Name string // what is between the brackets, without spaces at its ends

	header string // the line, with its end if it has one
	lines  []line
	eol    string
}

type line struct {
	text string // with its end, if it has one
	kind lineKind
	name string // of a key: lower-case
	// nested: it is indented, and above it is a key without a value, below which Go
	// holds it. To others it is a key like any other.
	nested bool
}

type lineKind int

const (
	otherLine  lineKind = iota // blank or comment
	headerLine                 // [name]
	keyLine                    // key = value
	// moreLine belongs to the key above it: indented further. If it has a
	// name, Go takes it for a key of its own.
	moreLine
)

// lastLines are the lines of the last section, or those above the first.
func (f *File) lastLines() *[]line {
	if n := len(f.Sections); n > 0 {
		return &f.Sections[n-1].lines
	}
	return &f.preamble
}

// Bytes returns the text, nil if there is none. A line that came to stand above others, and had no end
// as it was the last, has one there.
func (f *File) Bytes() []byte {
	w := writer{eol: f.eol, text: make([]byte, 0, f.size())}
	w.lines(f.preamble)
	for _, s := range f.Sections {
		w.section(s)
	}
	return w.text
}

// size is about how long the text is: no less, but for the ends of lines that get one.
func (f *File) size() (n int) {
	for _, l := range f.preamble {
		n += len(l.text)
	}
	for _, s := range f.Sections {
		n += len(s.header)
		for _, l := range s.lines {
			n += len(l.text)
		}
	}
	return n
}

// writer puts lines after each other.
type writer struct {
	text []byte
	eol  string
}

func (w *writer) line(text string) {
	if n := len(w.text); n > 0 && w.text[n-1] != '\n' {
		if w.text[n-1] == '\r' {
			w.text = w.text[:n-1]
		}
		w.text = append(w.text, w.eol...)
	}
	w.text = append(w.text, text...)
}

func (w *writer) lines(lines []line) {
	for _, l := range lines {
		w.line(l.text)
	}
}

func (w *writer) section(s *Section) {
	w.line(s.header)
	w.lines(s.lines)
}

// Clone returns a copy that can be edited without the original.
func (f *File) Clone() *File {
	c := &File{preamble: slices.Clone(f.preamble), eol: f.eol, Sections: make([]*Section, len(f.Sections))}
	for i, s := range f.Sections {
		c.Sections[i] = s.Clone()
	}
	return c
}

// first is the text of the first line, nil if there is none.
func (f *File) first() *string {
	switch {
	case len(f.preamble) > 0:
		return &f.preamble[0].text
	case len(f.Sections) > 0:
		return &f.Sections[0].header
	}
	return nil
}

// HasBOM tells whether the file begins with a byte order mark, which neither Go nor
// botocore skips: the first section is not there for them.
func (f *File) HasBOM() bool { t := f.first(); return t != nil && strings.HasPrefix(*t, bom) }

// DropBOM takes the byte order mark off.
func (f *File) DropBOM() {
	if t := f.first(); t != nil {
		*t = strings.TrimPrefix(*t, bom)
	}
}

// Find returns the sections that any parser takes for the profile, and those whose
// raw names are one of the headers, in their order.
func (f *File) Find(profile string, headers ...string) []*Section {
	f.indexAll()
	at := slices.Clone(f.index["profile "+profile])
	for _, h := range headers {
		at = append(at, f.index["header "+oneSpace(h)]...)
	}
	slices.Sort(at)
	var found []*Section
	for _, i := range slices.Compact(at) {
		found = append(found, f.Sections[i])
	}
	return found
}

// HasHeader tells whether a section has the name, as all parsers compare it that do
// not count the spaces in the brackets.
func (f *File) HasHeader(name string) bool {
	f.indexAll()
	return len(f.index["name "+oneSpace(name)]) > 0
}

// indexAll completes the index with the sections that were added.
func (f *File) indexAll() {
	if f.index == nil || f.indexed > len(f.Sections) {
		f.index, f.indexed = map[string][]int{}, 0
	}
	for ; f.indexed < len(f.Sections); f.indexed++ {
		s := f.Sections[f.indexed]
		for _, key := range []string{"profile " + ProfileOf(s.Name), "header " + oneSpace(s.rawName()), "name " + oneSpace(s.Name)} {
			f.index[key] = append(f.index[key], f.indexed)
		}
	}
}

// Value returns the value of a key of the profile: of the last section that has it,
// as later lines override earlier ones.
func (f *File) Value(profile, key string) (value string, ok bool) {
	for _, s := range f.Find(profile) {
		if v, has := s.Get(key); has {
			value, ok = v, true
		}
	}
	return value, ok
}

// Add appends a section with the pairs (key and value), a blank line above it.
func (f *File) Add(name string, pairs ...[2]string) *Section {
	f.blankLine()
	s := &Section{Name: name, header: "[" + name + "]" + f.eol, eol: f.eol}
	f.Sections = append(f.Sections, s)
	for _, pair := range pairs {
		s.lines = append(s.lines, s.keyLine("", pair))
	}
	return s
}

// Append appends a section of another file as Add does.
func (f *File) Append(s *Section) {
	f.blankLine()
	f.Sections = append(f.Sections, s)
}

func (f *File) blankLine() {
	if blank, _ := f.End(); blank {
		*f.lastLines() = append(*f.lastLines(), line{text: f.eol})
	}
}

// lastLine is the text of the last line, nil if there is none.
func (f *File) lastLine() *string {
	if lines := *f.lastLines(); len(lines) > 0 {
		return &lines[len(lines)-1].text
	}
	if n := len(f.Sections); n > 0 {
		return &f.Sections[n-1].header
	}
	return nil
}

// End says how the file ends: whether a blank line goes above a section that is added,
// and the end of the last line: "\n", "\r\n", "\r" or nothing.
func (f *File) End() (blank bool, end string) {
	last := f.lastLine()
	if last == nil {
		return false, "\n"
	}
	return strings.TrimSpace(strings.TrimPrefix(*last, bom)) != "", (*last)[len(strings.TrimRight(*last, "\r\n")):]
}

// RemoveSections takes out every section whose name matches, from its header
// to the line before the next header. Comments directly above the next header
// are that one's, and stay.
func (f *File) RemoveSections(match func(name string) bool) {
	var kept []*Section
	above := &f.preamble
	for i, s := range f.Sections {
		switch {
		case !match(s.Name):
			kept, above = append(kept, s), &s.lines
		case i < len(f.Sections)-1:
			*above = append(*above, s.lines[s.ofSettings():]...)
		}
	}
	f.Sections, f.index = kept, nil
}

// RemoveHeader takes out the header of a section that has no settings, and if blank a
// blank line above it. If nothing is below it then, and end is none of a line, the line
// above gets that for its end.
func (f *File) RemoveHeader(s *Section, blank bool, end string) {
	i := slices.Index(f.Sections, s)
	if i < 0 {
		return
	}
	above := &f.preamble
	if i > 0 {
		above = &f.Sections[i-1].lines
	}
	if n := len(*above); blank && n > 0 && strings.TrimSpace((*above)[n-1].text) == "" {
		*above = (*above)[:n-1]
	}
	atEnd := i == len(f.Sections)-1 && len(s.lines) == 0
	*above = append(*above, s.lines...)
	f.Sections, f.index = slices.Delete(f.Sections, i, i+1), nil
	if last := f.lastLine(); atEnd && last != nil && !strings.HasSuffix(end, "\n") {
		*last = strings.TrimRight(*last, "\r\n") + end
	}
}
