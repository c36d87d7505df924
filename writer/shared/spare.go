package shared

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"brs-exec.example/brs-exec/writer/rundir"
)

// spareDir returns a directory of this user's alone for what goes beside a file
// whose directory cannot be written to. It outlives the process, as what is in
// it must if that is killed.
func spareDir(getenv func(string) string) (string, error) {
	var dirs []string
	if state := getenv("XDG_STATE_HOME"); state != "" {
		dirs = append(dirs, filepath.Join(state, "brs-exec"))
	} else if home := getenv("HOME"); home != "" && exists(home) { // what is not there is not made
		dirs = append(dirs, filepath.Join(home, ".local", "state", "brs-exec"))
	}
	for _, base := range rundir.Bases(getenv) {
		dirs = append(dirs, filepath.Join(base, "brs-exec-shared-"+strconv.Itoa(max(0, os.Geteuid()))))
	}
	var tried []string
	for _, dir := range dirs {
		err := makeOwn(dir)
		if err == nil {
			return dir, nil
		}
		tried = append(tried, fmt.Sprintf("%s (%v)", dir, err))
	}
	return "", fmt.Errorf("no directory for backups: tried %s", strings.Join(tried, "; "))
}

// makeOwn makes a directory, or finds that it is ours alone.
func makeOwn(dir string) error {
	if !filepath.IsAbs(dir) {
		return errors.New("not an absolute path")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("not a directory")
	}
	if err := rundir.Alone(info); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".probe-")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}
