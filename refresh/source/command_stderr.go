package source

import (
	"io"
	"unicode"
	"unicode/utf8"
)

// stderrLimit is how much of a program's standard error is passed on in one run: a
// program that fails is run again and again.
const stderrLimit = 64 << 10

// stderrFilter passes on what a program says on its standard error, as text: up to a limit,
// and without what would move the cursor, or more, of a terminal that is the command's.
type stderrFilter struct {
	to   io.Writer
	left int
	rest []byte // of a character that is not whole
	skip escape
}

// escape is where in a control sequence (ECMA-48) we are.
type escape int

const (
	noEscape  escape = iota
	escaped          // after ESC
	inCSI            // ESC [ … to a letter
	inString         // ESC ] … and its like, to BEL or ESC \
	endString        // after an ESC in that
)

// Write implements io.Writer. It takes everything: a program must not fail because of
// what becomes of its words.
func (c *stderrFilter) Write(p []byte) (int, error) {
	text := append(c.rest, p...)
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 && !utf8.FullRune(text) {
			break
		}
		if c.shown(r) {
			out = append(out, text[:size]...)
		}
		text = text[size:]
	}
	c.rest = append([]byte(nil), text...)
	if len(out) > c.left && c.left >= 0 {
		out = append(out[:c.left:c.left], " […]\n"...)
	}
	if c.left >= 0 && len(out) > 0 {
		c.to.Write(out)
		c.left -= len(out) // below 0 once the end was told
	}
	return len(p), nil
}

// shown says whether a character is text.
func (c *stderrFilter) shown(r rune) bool {
	switch c.skip {
	case escaped:
		switch r {
		case '[':
			c.skip = inCSI
		case ']', 'P', 'X', '^', '_':
			c.skip = inString
		default:
			c.skip = noEscape
		}
		return false
	case inCSI:
		if r >= 0x40 && r <= 0x7e {
			c.skip = noEscape
		}
		return r == '\n'
	case inString:
		switch r {
		case '\a', '\n':
			c.skip = noEscape
		case 0x1b:
			c.skip = endString
		}
		return r == '\n'
	case endString:
		c.skip = noEscape
		return false
	}
	if r == 0x1b {
		c.skip = escaped
	}
	return r == '\n' || r == '\t' || !unicode.IsControl(r)
}
