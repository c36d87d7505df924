package process

// StateOf returns the name of a profile's state file in the run directory; "" is the
// command's default.
func StateOf(profile string) string {
	if profile == "" {
		return StateFile
	}
	return StateFile + "-" + Word(profile)
}

// Word returns a profile's name as it stands in a credential_process line and in the
// name of a file: only of characters that every SDK takes for a part of one word, and
// no parser and no shell for anything else. Any other byte is _XX, two hexadecimal
// digits in capitals, and so is an underscore that would read as one.
func Word(profile string) string {
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(profile)+8)
	for i := range len(profile) {
		c := profile[i]
		if isPlain(c) && (c != '-' || i > 0) && (c != '_' || !isEscape(profile[i:])) {
			b = append(b, c)
		} else {
			b = append(b, '_', hex[c>>4], hex[c&0xf])
		}
	}
	return string(b)
}

// isWord tells whether it could be what Word returns.
func isWord(s string) bool {
	for i := range len(s) {
		if !isPlain(s[i]) {
			return false
		}
	}
	return s != ""
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_'
}

// isEscape tells whether s, which begins with an underscore, would read as a byte.
func isEscape(s string) bool {
	return len(s) > 2 && isHex(s[1]) && isHex(s[2])
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }
