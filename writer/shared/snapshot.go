package shared

import (
	"slices"
	"strings"

	"brs-exec.example/brs-exec/writer/ini"
)

// A snapshot is what stood in a profile's sections before we wrote to them.
type snapshot struct {
	NoFile bool `json:",omitempty"`
	// Sections are the bytes of those that were there, written to or not.
	Sections [][]byte `json:",omitempty"`
	// Of a section that is added at the end of the file: whether a blank line
	// goes above it, and whether the line before had no end.
	Blank, NoEnd bool `json:",omitempty"`
	// What of an end it had: "\r" or nothing.
	HalfEnd string `json:",omitempty"`
}

// takeSnapshot returns what stands in the file, which is there or not.
func (p section) takeSnapshot(f *ini.File, there bool) *snapshot {
	b := &snapshot{NoFile: !there}
	for _, s := range p.find(f) {
		b.Sections = append(b.Sections, s.Bytes())
	}
	var end string
	b.Blank, end = f.End()
	if b.NoEnd = !strings.HasSuffix(end, "\n"); b.NoEnd {
		b.HalfEnd = end
	}
	return b
}

// parse returns the sections that were there, as they would be in f.
func (b *snapshot) parse(f *ini.File) (sections []*ini.Section) {
	for _, text := range b.Sections {
		sections = append(sections, f.ReadSections(text)...)
	}
	return sections
}

// text is what stood in a section, nil if it was added.
func (b *snapshot) text(s *ini.Section) []byte {
	for _, text := range b.Sections {
		for _, was := range ini.Read(text).Sections {
			if was.SameHeader(s) {
				return text
			}
		}
	}
	return nil
}

// end tells whether the last line that stood there had no end, or that above the
// section if it was added, and what of one it had.
func (b *snapshot) end(s *ini.Section) (none bool, half string) {
	text := b.text(s)
	if text == nil {
		return b.NoEnd, b.HalfEnd
	}
	if last := len(text) - 1; text[last] == '\r' {
		half = "\r"
	}
	return text[len(text)-1] != '\n', half
}

// has tells whether credentials were there.
func (b *snapshot) has(f *ini.File, fp string) bool {
	return slices.ContainsFunc(b.parse(f), func(s *ini.Section) bool {
		was, _ := fingerprintIn(s)
		return was == fp
	})
}

// remove takes the keys out of the profile's sections that hold credentials of ours,
// and the sections with them that were not there before and have nothing else.
func (b *snapshot) remove(f *ini.File, sections []*ini.Section, ours func(fp string) bool) {
	was := b.parse(f)
	for _, s := range sections {
		// One that was there keeps its header.
		b.removeFrom(f, s, take(&was, s) == nil, ours)
	}
}

// removeFrom takes our keys out of a section, and if it was added and has nothing else
// its header.
func (b *snapshot) removeFrom(f *ini.File, s *ini.Section, added bool, ours func(fp string) bool) {
	if fp, _ := fingerprintIn(s); fp == "" || !ours(fp) {
		return
	}
	s.Remove(ownKeys...)
	if added && !s.HasSettings() {
		end := "\n"
		if b.NoEnd {
			end = b.HalfEnd
		}
		f.RemoveHeader(s, b.Blank, end)
	}
}

// restore puts back what stood in the profile's sections, and takes out those
// that were added. Keys of others stay; it tells whether it left such where
// there were some before.
func (b *snapshot) restore(f *ini.File, sections []*ini.Section, creds credentials, ours func(fp string) bool) (left bool) {
	was := b.parse(f)
	for _, s := range sections {
		old := take(&was, s)
		fp, _ := fingerprintIn(s)
		switch {
		case old == nil:
			b.removeFrom(f, s, true, ours)
		case fp != "" && !ours(fp):
			left = left || old.Has(ini.Keys...)
		default:
			*s = *restored(f, s, old, creds)
		}
	}
	for _, gone := range was {
		if gone.Has(ini.Keys...) {
			f.Append(gone)
		}
	}
	return left
}

// take takes the first of the sections that were there with the header of s, nil if
// there is none.
func take(was *[]*ini.Section, s *ini.Section) *ini.Section {
	i := slices.IndexFunc(*was, s.SameHeader)
	if i < 0 {
		return nil
	}
	old := (*was)[i]
	*was = slices.Delete(*was, i, i+1)
	return old
}

// restored returns the section as it was, if nothing but our writing the
// credentials has changed it; else with the keys as they were and the changes of others.
func restored(f *ini.File, now, was *ini.Section, creds credentials) *ini.Section {
	for _, legacy := range []bool{false, true} {
		written := was.Clone()
		writeKeys(written, creds, legacy)
		got, want := string(now.Bytes()), string(written.Bytes())
		if got == want {
			return was
		}
		// What others add below may come with blank lines, or an end of line.
		if trimmed := strings.TrimRight(got, "\r\n"); trimmed == strings.TrimRight(want, "\r\n") {
			text := strings.TrimRight(string(was.Bytes()), "\r\n") + got[len(trimmed):]
			return f.ReadSections([]byte(text))[0]
		}
	}
	now.CopyKeys(was, ownKeys...)
	return now
}
