package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/writer/pathsafe"
	"brs-exec.example/brs-exec/writer/replace"
)

func (p *program) installCommand() *cli.Command {
	return &cli.Command{
		Name:      "install",
		Usage:     "copy this program to a directory; an init container may have no cp",
		UsageText: "brs-exec install DIR",
		Description: "The copy is DIR/brs-exec, mode 0755. It replaces an older copy in one step, also while that copy runs.\n" +
			"brs-exec does not create DIR: a directory that is not the volume would vanish with the container.",
		OnUsageError: p.usageError,
		Action: func(c *cli.Context) error {
			if err := p.lostFlags(c); err != nil {
				return err
			}
			switch {
			case p.dashes:
				return &plan.Error{Text: "install runs no command", Hint: "brs-exec install DIR"}
			case c.NArg() == 0 || c.Args().First() == "":
				return &plan.Error{Text: "no directory to install to", Hint: "brs-exec install DIR"}
			case c.NArg() > 1:
				return &plan.Error{Text: fmt.Sprintf("%q is one directory too many", c.Args().Get(1)), Hint: "brs-exec install DIR"}
			}
			self, err := openSelf()
			if err != nil {
				return fmt.Errorf("install: this program cannot be read: %w", err)
			}
			defer self.Close()
			path, err := install(self, c.Args().First())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(printable{p.stdout}, "installed %s\n", path)
			return err
		},
	}
}

// openSelf opens the file of this program. Without a /proc the system does not tell
// where that is, but the caller has.
func openSelf() (*os.File, error) {
	path, err := os.Executable()
	if err != nil {
		path, err = exec.LookPath(os.Args[0])
	}
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// installedName is what the copy is called.
func installedName() string {
	if runtime.GOOS == "windows" {
		return "brs-exec.exe"
	}
	return "brs-exec"
}

// install copies a program to a directory, and returns the path of the copy. Whatever has
// its name there is replaced by the new file, a symbolic link too: not what that leads to.
func install(program io.Reader, dir string) (path string, err error) {
	name := installedName()
	temp := "." + name + "." + pathsafe.RandomName() + ".tmp"
	// The path of a file that is not there leads to its directory, as it was asked for.
	err = replace.Target{Path: filepath.Join(dir, temp)}.At(func(at *replace.Location) error {
		path = filepath.Join(filepath.Dir(at.Path), name)
		return pathsafe.Put(at.Beside(), temp, name, nil, func(f *os.File) error {
			if _, err := io.Copy(f, program); err != nil {
				return err
			}
			if err := f.Chmod(0o755); err != nil {
				return err
			}
			return f.Sync()
		})
	})
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.EISDIR) { // Go says the one or the other, by its version
		err = fmt.Errorf("%s there is a directory", name)
	}
	if err != nil {
		return "", &plan.Error{Text: fmt.Sprintf("install to %s: %v", dir, pathsafe.Reason(err)), Hint: installHint(dir, err)}
	}
	return path, nil
}

func installHint(dir string, err error) string {
	switch {
	case (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) && filepath.Base(dir) == installedName():
		return "name the directory alone: brs-exec install " + plan.ShellLine([]string{filepath.Dir(dir)})
	case errors.Is(err, fs.ErrNotExist):
		return "name a directory that is there, as the mountPath of a volume is"
	case errors.Is(err, syscall.ENOSPC):
		return "the copy is as large as the program, beside an older one: make room, or the volume's sizeLimit larger"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return cmp.Or(replace.Hint(err), fmt.Sprintf("let user %d write there: by the directory's owner or mode, or a volume's fsGroup", os.Geteuid()))
	}
	return replace.Hint(err)
}
