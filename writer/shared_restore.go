package writer

import (
	"slices"
	"strings"

	"brs-exec/writer/ini"
	"brs-exec/writer/process"
)

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
	section.remove(anySection, ownKeys...)
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
			left = left || hasKey(was.taken, ini.Keys...)
		default:
			f.replaceSection(i, restored(section, was.taken, set))
		}
	}
	for _, gone := range was.sections {
		if hasKey(gone, ini.Keys...) {
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
func restored(now, was *iniFile, set process.Set) *iniFile {
	was.eol = now.eol
	for _, legacy := range []bool{false, true} {
		written := was.clone()
		setSection(written, set, legacy)
		got, want := string(now.bytes()), string(written.bytes())
		if got == want {
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
	for _, key := range ownKeys {
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
