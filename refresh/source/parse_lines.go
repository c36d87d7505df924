package source

import (
	"strings"
	"unicode"
)

// lines reads what `eval $(…)` and its like are given: NAME=VALUE, as it stands in
// files of variables and of credentials, and as sh, csh, fish, PowerShell and cmd.exe
// have it. Other lines are passed over: tools greet.
func (r *reading) lines(text []byte) error {
	for line := range strings.Lines(string(text)) {
		for _, s := range statements(strings.TrimSpace(line)) {
			for _, a := range s.assignments() {
				if err := r.take(a[0], a[1]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// statement is one of several on a line.
type statement struct {
	text  string
	words []string // without their quotes
	open  bool     // a quote is not closed
}

// statements takes a line apart as shells do: after ; and &&, and at a comment.
func statements(line string) []statement {
	var all []statement
	var s statement
	var word strings.Builder
	inWord, start, quote := false, 0, rune(0)
	endWord := func() {
		if inWord {
			s.words = append(s.words, word.String())
		}
		word.Reset()
		inWord = false
	}
	end := func(i int) {
		endWord()
		s.text = line[start:i]
		all = append(all, s)
		s = statement{}
	}
	for i, c := range line {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '"' || c == '\'':
			quote, inWord = c, true
		case c == '#' && !inWord:
			end(i)
			return all
		case c == ';' || c == '&':
			end(i)
			start = i + 1
		case unicode.IsSpace(c):
			endWord()
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	s.open = quote != 0
	end(len(line))
	return all
}

// assignments are the names and values of a statement.
func (s statement) assignments() [][2]string {
	words, text := s.words, s.text
	if len(words) == 0 {
		return nil
	}
	switch first := strings.ToLower(words[0]); first {
	case "export", "declare", "typeset", "set", "setenv":
		words = words[1:]
		for len(words) > 0 && strings.HasPrefix(words[0], "-") { // declare -x, set -gx
			words = words[1:]
		}
		if len(words) == 2 && strings.HasPrefix(first, "set") && !strings.Contains(words[0], "=") {
			return [][2]string{{words[0], words[1]}} // fish, csh
		}
		text = strings.TrimSpace(text)[len(first):]
	}
	var all [][2]string
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" || s.open {
			// Not that. All that follows the first = is one value, as in a
			// credentials file.
			name, value, ok = strings.Cut(text, "=")
			if !ok {
				return nil
			}
			return [][2]string{{variable(name), unquote(value)}}
		}
		all = append(all, [2]string{variable(name), value})
	}
	return all
}

// variable is the name alone, without what PowerShell has before it.
func variable(name string) string {
	name = strings.TrimSpace(name)
	const before = "$env:"
	if len(name) > len(before) && strings.EqualFold(name[:len(before)], before) {
		return name[len(before):]
	}
	return name
}

// unquote takes off what a shell would: one pair of quotes, a semicolon at the end.
func unquote(v string) string {
	v = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), ";"))
	if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
		return v[1 : len(v)-1]
	}
	return v
}
