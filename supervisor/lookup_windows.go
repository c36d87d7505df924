package supervisor

import (
	"errors"
	"fmt"
	"os/exec"
)

// execvp looks the command up as os/exec does, but takes one in the current
// directory as well, as cmd.exe would.
func execvp(argv, _ []string, start func(path string, argv []string) error) error {
	path, err := exec.LookPath(argv[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return fmt.Errorf("run %q: %w", argv[0], errors.Unwrap(err))
	}
	if err := start(path, argv); err != nil {
		return fmt.Errorf("run %q: %w", path, err)
	}
	return nil
}

// Find says why a command would not be found, with the exit code of a run. It starts nothing.
func Find(argv, env []string) (Exit, error) {
	err := execvp(argv, env, func(string, []string) error { return nil })
	if err != nil {
		return startExit(err), err
	}
	return Exit{}, nil
}
