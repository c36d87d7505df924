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
