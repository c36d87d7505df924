package supervisor

import (
	"errors"
	"fmt"
	osexec "os/exec"
)

// exec looks the command up as os/exec does, but takes one in the current
// directory as well, as cmd.exe would.
func exec(argv, _ []string, start func(path string, argv []string) error) error {
	path, err := osexec.LookPath(argv[0])
	if err != nil && !errors.Is(err, osexec.ErrDot) {
		return fmt.Errorf("run %q: %w", argv[0], errors.Unwrap(err))
	}
	if err := start(path, argv); err != nil {
		return fmt.Errorf("run %q: %w", path, err)
	}
	return nil
}
