package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// A table is what for-each comes to: a profile for each row.
type table struct {
	columns []string
	rows    []row
}

// row has a cell for each column; those at its end may be missing, which is as if they were empty.
type row struct {
	cells []string
	where string // file:line, or the command and the line of its output; "" if it is from the list itself
}

// ofSession are the placeholders of session names, which the source fills in.
var ofSession = []string{"user", "host", "command", "pid", "profile"}

// fillEntry puts the cells of a row in place of {column} in all texts of a setting.
func (r row) fillEntry(e fileEntry, columns []string) (fileEntry, error) {
	filled := e
	filled.values = slices.Clone(e.values)
	for i, text := range e.values {
		if !strings.Contains(text, "{") {
			continue
		}
		var err error
		if filled.values[i], err = r.fill(e, text, columns); err != nil {
			return e, err
		}
	}
	if e.maps == nil {
		return filled, nil
	}
	filled.maps = make([][]fileEntry, len(e.maps))
	for i, m := range e.maps {
		for _, inner := range m {
			inner, err := r.fillEntry(inner, columns)
			if err != nil {
				return e, err
			}
			filled.maps[i] = append(filled.maps[i], inner)
		}
	}
	return filled, nil
}

// fill fills in one text of the setting e. A brace that begins no placeholder stays: it is
// JSON's, or a shell's if a $ is in front of it.
func (r row) fill(e fileEntry, text string, columns []string) (string, error) {
	var b strings.Builder
	for {
		before, rest, open := strings.Cut(text, "{")
		b.WriteString(before)
		if !open {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		text = rest
		switch {
		case strings.HasPrefix(rest, "{"):
			return "", wrong(nil, "one brace on each side, as in {"+cmp.Or(strings.Trim(name, "{ "), "account")+"}", "%s: %s: {{ begins no placeholder", e.where, e.key)
		case !closed || !isPlaceholder(name) || strings.HasSuffix(before, "$"):
			b.WriteString("{")
			continue
		}
		text = after
		i := slices.Index(columns, name)
		session := e.key == flagRoleSessionName.Name && slices.Contains(ofSession, name)
		switch {
		case i < 0 && session:
			b.WriteString("{" + name + "}")
			continue
		case i < 0:
			return "", unknownPlaceholder(e, name, columns)
		}
		cell := ""
		if i < len(r.cells) {
			cell = r.cells[i]
		}
		if err := fits(e, cell); err != nil {
			return "", wrong(nil, "", "%s: %s %v", cmp.Or(r.where, e.where), name, err)
		}
		b.WriteString(cell)
	}
}

func unknownPlaceholder(e fileEntry, name string, columns []string) error {
	known := slices.DeleteFunc(slices.Clone(columns), func(c string) bool { return !isPlaceholder(c) })
	if e.key == flagRoleSessionName.Name {
		known = append(known, ofSession...)
	}
	return wrong(nil, cmp.Or(braced(Nearest("", name, known)), "the placeholders here are "+placeholders(known, " ")), "%s: %s: {%s}: no such placeholder", e.where, e.key, name)
}

// braced puts the name that Nearest found into braces.
func braced(hint string) string {
	name, ok := strings.CutPrefix(hint, "did you mean ")
	if !ok {
		return hint
	}
	return "did you mean {" + strings.TrimSuffix(name, "?") + "}?"
}

func placeholders(columns []string, between string) string {
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString("{" + c + "}")
	}
	return b.String()
}

// isPlaceholder tells whether what stands between braces is a name: JSON's quotes, colons and
// commas are none, and neither is a blank at an end of it.
func isPlaceholder(name string) bool {
	return name != "" && name == strings.TrimSpace(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-. ", r)
	})
}

// ofPrograms are the settings that are a command line.
var ofPrograms = []setting{flagCredentialCommand, flagWebIdentityTokenCommand, flagMFACommand, flagOnRefresh, flagOnSourceEnding, flagOnExpiry, flagOnStale}

// fits tells whether a cell may be filled in: what it is must not decide what the text means. So
// it closes no quotes of JSON, and in a command line it is a part of one word, also for a
// shell that reads this word, and no option.
func fits(e fileEntry, cell string) error {
	switch {
	case cell == "":
		return errors.New("is empty, or no text")
	case strings.ContainsFunc(cell, func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune(`"\{}`, r) }):
		return fmt.Errorf("%q: has a character that cannot be filled in", cell)
	}
	if !slices.ContainsFunc(ofPrograms, func(f setting) bool { return f.flag().Name == e.key }) {
		return nil
	}
	if strings.HasPrefix(cell, "-") || strings.ContainsFunc(cell, func(r rune) bool { return !isWord(r) && !strings.ContainsRune("-.,@+=:/", r) }) {
		return fmt.Errorf("%q: in a command line (%s at %s) only letters, digits and _-.,@+=:/ are filled in, and no - in front", cell, e.key, e.where)
	}
	return nil
}
