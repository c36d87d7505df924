package source

import (
	"errors"
	"strings"
)

var errOpenQuote = errors.New("a quote is not closed")

// splitWords takes a command line apart as Python's shlex.split does, with which the AWS
// CLI runs credential_process: quotes and backslashes are the shell's, and nothing
// else is.
func splitWords(line string) ([]string, error) {
	words, _, err := scanWords(line)
	return words, err
}

// scanWords also says whether a shell would see more in the line: what stands in
// no quotes and is a variable, a pipe, a list, a redirection, a home directory or an assignment.
func scanWords(line string) (words []string, shell bool, err error) {
	var word strings.Builder
	var quote rune
	inWord, escaped := false, false
	for _, r := range line {
		switch {
		case escaped:
			if quote == '"' && r != '"' && r != '\\' {
				word.WriteByte('\\')
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			inWord, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			// Of the program's name it is certain that no shell is meant to follow.
			shell = shell || quote == '"' && len(words) == 0 && strings.ContainsRune("$`", r)
			word.WriteRune(r)
		case r == '\'' || r == '"':
			inWord, quote = true, r
		case strings.ContainsRune(" \t\r\n", r):
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			shell = shell || strings.ContainsRune("|&;<>()$`", r) || r == '~' && !inWord || r == '=' && len(words) == 0
			inWord = true
			word.WriteRune(r)
		}
	}
	if quote != 0 || escaped {
		return nil, shell, errOpenQuote
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, shell, nil
}
