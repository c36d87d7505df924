//go:build unix

package writer

import "os/exec"

// program looks for sh as Go's SDK does, in PATH, which the command has from us.
// Whatever the path is, the run directory has a link to it.
func program(path string) (string, error) {
	if _, err := exec.LookPath("sh"); err != nil {
		return "", errNoShell
	}
	return path, nil
}
