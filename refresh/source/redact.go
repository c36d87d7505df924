package source

import (
	"net/url"
	"strings"
	"unicode"
)

const (
	maxText  = 500 // runes: AWS's own messages are shorter
	redacted = "[redacted]"
)

// scrub makes text from elsewhere fit to be shown: one line, no known secret, nothing
// that looks like one (40 characters and more of mixed letters and digits, as in
// secret keys, tokens and encoded authorization messages), no path of a URL
// (that of a container's credentials is a secret), not longer than a person reads.
func scrub(text string, hide []string) string {
	for _, h := range hide {
		// Shorter is no secret, and would make holes in ordinary words.
		if len(h) >= 4 {
			text = strings.ReplaceAll(text, h, redacted)
		}
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	for i, w := range words {
		words[i] = scrubWord(w)
	}
	text = strings.ToValidUTF8(strings.Join(words, " "), "?")
	if r := []rune(text); len(r) > maxText {
		text = string(r[:maxText]) + "…"
	}
	return text
}

func scrubWord(w string) string {
	if strings.Contains(w, "://") {
		return scrubURL(w)
	}
	if strings.Contains(w, "arn:") {
		return w // long names are usual here
	}
	var b strings.Builder
	start := 0
	flush := func(end int) {
		run := w[start:end]
		if opaque(run) {
			run = redacted
		}
		b.WriteString(run)
	}
	for i := 0; i < len(w); i++ {
		if !inToken(w[i]) {
			flush(i)
			b.WriteByte(w[i])
			start = i + 1
		}
	}
	flush(len(w))
	return b.String()
}

// scrubURL leaves scheme and host.
func scrubURL(w string) string {
	trimmed := strings.Trim(w, `"'():,;.`)
	u, err := url.Parse(trimmed)
	if err != nil || u.Host == "" {
		return redacted
	}
	return strings.Replace(w, trimmed, u.Scheme+"://"+u.Host, 1)
}

func inToken(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("+/=_", c) >= 0
}

func opaque(run string) bool {
	if len(run) < 40 {
		return false
	}
	var lower, upper, digit bool
	for i := range len(run) {
		lower = lower || 'a' <= run[i] && run[i] <= 'z'
		upper = upper || 'A' <= run[i] && run[i] <= 'Z'
		digit = digit || '0' <= run[i] && run[i] <= '9'
	}
	return lower && upper && digit
}
