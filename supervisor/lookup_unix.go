//go:build unix

package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// execvp calls start for each path that execvp(3) would try for argv[0], until one
// works. The semantics are those of the C library, not of os/exec: an empty or
// relative entry of PATH counts, a file that can't be executed is passed over but
// remembered as the error, and a script without "#!" is run by /bin/sh.
func execvp(argv, env []string, start func(path string, argv []string) error) error {
	name := argv[0]
	if strings.Contains(name, "/") {
		return execOne(name, argv, start)
	}
	err := error(unix.ENOENT)
	if name == "" {
		return fmt.Errorf("run %q: %w", name, err)
	}
	for dir := range strings.SplitSeq(searchPath(env), ":") {
		path := name
		if dir != "" {
			path = strings.TrimSuffix(dir, "/") + "/" + name
		}
		if !executable(path) {
			if found(path) {
				err = unix.EACCES
			}
			continue
		}
		switch e := execOne(path, argv, start); {
		case e == nil:
			return nil
		case errors.Is(e, unix.EACCES):
			err = unix.EACCES
		case errors.Is(e, unix.ENOENT), errors.Is(e, unix.ENOTDIR), errors.Is(e, unix.ESTALE),
			errors.Is(e, unix.ENODEV), errors.Is(e, unix.ETIMEDOUT):
		default:
			return e
		}
	}
	if err == unix.ENOENT {
		return fmt.Errorf("run %q: not found in PATH: %w", name, err)
	}
	return fmt.Errorf("run %q: %w", name, err)
}

func execOne(path string, argv []string, start func(string, []string) error) error {
	err := start(path, argv)
	if errors.Is(err, unix.ENOEXEC) {
		err = start("/bin/sh", append([]string{"/bin/sh", path}, argv[1:]...))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EACCES) && isDirectory(path):
		return fmt.Errorf("run %q: is a directory: %w", path, err)
	case errors.Is(err, unix.ENOENT) && found(path):
		return fmt.Errorf("run %q: its interpreter: %w", path, err)
	}
	return fmt.Errorf("run %q: %w", path, err)
}

// searchPath returns PATH as getenv would find it in env, and the C library's
// default if there is none.
func searchPath(env []string) string {
	for _, e := range env {
		if path, ok := strings.CutPrefix(e, "PATH="); ok {
			return path
		}
	}
	return "/bin:/usr/bin"
}

func executable(path string) bool { return !isDirectory(path) && mayExecute(path) == nil }

// mayExecute asks the kernel twice: Linux before 5.8 knows no AT_EACCESS, and what stands in for
// it sees no access control list.
func mayExecute(path string) error {
	err := unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS)
	if err == nil || unix.Access(path, unix.X_OK) == nil {
		return nil
	}
	return err
}

func found(path string) bool {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return err == nil || err == unix.EACCES
}

func isDirectory(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && uint32(st.Mode)&syscall.S_IFMT == syscall.S_IFDIR
}

// Find says why a command that is started with the environment env would not be found, or not be
// started, with the exit code that a run has then. It starts nothing; what only a start tells, such
// as that the interpreter of a script is missing, it does not know.
func Find(argv, env []string) (Exit, error) {
	err := execvp(argv, env, func(path string, _ []string) error {
		if err := mayExecute(path); err != nil || isDirectory(path) {
			return cmp.Or(err, error(unix.EACCES))
		}
		return nil
	})
	if err != nil {
		return startExit(err), err
	}
	return Exit{}, nil
}
