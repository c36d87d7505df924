package writer

import (
	"errors"
	"fmt"
	"os"
)

// Self returns a path by which every SDK can run this program as a
// credential_process, and the mode to open the files with. That is wanted, unless some
// SDK could not run the program: then err says why, and Auto becomes Endpoint, because a
// selected profile that fails keeps SDKs from the other delivery.
func Self(wanted Mode) (path string, mode Mode, err error) {
	self, err := os.Executable()
	if err == nil {
		path, err = program(self)
	}
	switch {
	case err == nil:
		return path, wanted, nil
	case wanted == Auto:
		wanted = Endpoint
	}
	return self, wanted, err
}

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
