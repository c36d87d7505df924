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

// redact makes text fit to be shown: one line, no secret that is known, and not
// longer than a person reads.
func redact(text string, secrets []string) string {
	for _, h := range secrets {
		// Shorter is no secret, and would make holes in ordinary words.
		if len(h) >= 4 {
			text = strings.ReplaceAll(text, h, redacted)
		}
	}
	text = strings.ToValidUTF8(strings.Join(fields(text), " "), "?")
	if r := []rune(text); len(r) > maxText {
		text = string(r[:maxText]) + "…"
	}
	return text
}

func fields(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// redactForeign takes out of a text that others wrote what may be a secret: 40 characters
// and more of mixed letters and digits (secret keys, tokens, encoded
// authorization messages), JSON web tokens, and the path of a URL, which for a
// container's credentials is as good as a key.
func redactForeign(text string) string {
	words := fields(text)
	for i, w := range words {
		words[i] = redactWord(w)
	}
	return strings.Join(words, " ")
}

func redactWord(w string) string {
	if strings.Contains(w, "://") {
		return redactURL(w)
	}
	if i := strings.Index(w, "eyJ"); i >= 0 && len(w)-i >= 16 {
		return w[:i] + redacted // a JSON web token: `{"` in base64
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
	for i := range len(w) {
		if !inToken(w[i]) {
			flush(i)
			b.WriteByte(w[i])
			start = i + 1
		}
	}
	flush(len(w))
	return b.String()
}

// redactURL leaves scheme and host.
func redactURL(w string) string {
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
