//go:build !unix

package source

import (
	"os"
	"os/exec"
	"strings"
)

// processArgv is how a credential_process is run, as by the AWS CLI: in words, of which
// double quotes make one, and backslashes are part. What a shell would see more in goes to one.
func processArgv(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quoted := false, false
	for _, r := range line {
		switch {
		case r == '"':
			inWord, quoted = true, !quoted
		case !quoted && strings.ContainsRune(" \t\r\n", r):
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		case !quoted && strings.ContainsRune("|&<>^%", r):
			return []string{"cmd.exe", "/C", line}, nil
		default:
			inWord = true
			word.WriteRune(r)
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	if quoted {
		return nil, errOpenQuote
	}
	return words, nil
}

// alone does nothing: only the command itself is killed when its context ends,
// and what it started goes on.
func alone(*exec.Cmd) {}

func killGroup(c *exec.Cmd) error { return c.Process.Kill() }

// terminal is for systems on which it can be lent to a program.
type terminal struct{ *os.File }

func openTerminal() *terminal { return nil }

func (t *terminal) back()        {}
func (t *terminal) errors() bool { return false }
