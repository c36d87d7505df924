package writer

import (
	"errors"
	"fmt"
)

// Program returns a path by which every SDK can run the program at path as a
// credential_process. It fails if some cannot. Then the profiles are better left
// without one (mode Endpoint) where there is another channel: a selected profile
// that fails keeps SDKs from it.
func Program(path string) (string, error) { return program(path) }

var errNoShell = errors.New("there is no sh in PATH, through which most SDKs run a credential_process")

// plainly returns path, or its short name, as one word that needs no quotes: Go's
// SDK hands them to cmd.exe in a form which that does not take.
func plainly(path string, plain func(string) bool, shortName func(string) (string, error)) (string, error) {
	if plain(path) {
		return path, nil
	}
	short, err := shortName(path)
	if err == nil && !plain(short) {
		err = errors.New("it has no short name")
	}
	if err != nil {
		return "", fmt.Errorf("%s: not every SDK can run a program with such a path: %w", path, err)
	}
	return short, nil
}
