//go:build unix

package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Each status is compared with that of the bare command, in the same run.
func TestExitStatusIsTheCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct {
		name string
		argv []string
		want string
	}{
		{"exit 0", []string{"true"}, "exit 0"},
		{"exit 1", []string{"false"}, "exit 1"},
		{"exit 3", []string{"sh", "-c", "exit 3"}, "exit 3"},
		{"exit 125", []string{"sh", "-c", "exit 125"}, "exit 125"},
		{"exit 126", []string{"sh", "-c", "exit 126"}, "exit 126"},
		{"exit 127", []string{"sh", "-c", "exit 127"}, "exit 127"},
		{"exit 255", []string{"sh", "-c", "exit 255"}, "exit 255"},
		{"not found", []string{filepath.Join(dir, "none")}, "exit 127"},
		{"not in path", []string{"no-such-command-anywhere"}, "exit 127"},
		{"empty name", []string{""}, "exit 127"},
		{"not executable", []string{write("plain", "x", 0o644)}, "exit 126"},
		{"directory", []string{dir}, "exit 126"},
		{"not a directory", []string{"/etc/passwd/x"}, "exit 126"},
		{"missing interpreter", []string{write("lost", "#!/no/such/thing\n", 0o755)}, "exit 127"},
		{"script without #!", []string{write("noshebang", "exit $1", 0o755), "9"}, "exit 9"},
	}
	for _, name := range []string{"TERM", "KILL", "SEGV", "INT", "HUP", "QUIT", "ABRT", "PIPE", "USR1", "ALRM", "BUS", "FPE", "ILL", "TRAP", "SYS", "XCPU"} {
		tests = append(tests, struct {
			name string
			argv []string
			want string
		}{"death by " + name, []string{"sh", "-c", "ulimit -c 0; kill -" + name + " $$"}, "signal " + name})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, command(t, wrapped(t, tt.argv...)...))
			if got := p.status(); got != tt.want {
				t.Errorf("status = %s, want %s", got, tt.want)
			}
			if code := strings.TrimPrefix(tt.want, "exit "); code == "126" || code == "127" {
				if n := strings.Count(p.stderr.String(), "\n"); n != 1 && !strings.HasPrefix(tt.name, "exit") {
					t.Errorf("standard error has %d lines, want 1:\n%s", n, p.stderr)
				}
			} else if p.stderr.Len() > 0 {
				t.Errorf("standard error = %q, want nothing", p.stderr)
			}
			if strings.HasPrefix(tt.want, "signal") || tt.name == "missing interpreter" {
				bare := command(t, tt.argv...)
				if err := bare.Run(); err == nil {
					t.Error("the bare command succeeds")
				} else if bare.ProcessState != nil && statusOf(bare.ProcessState) != tt.want {
					t.Errorf("status of the bare command = %s, want %s", statusOf(bare.ProcessState), tt.want)
				}
			}
		})
	}
}

// PATH is searched as execvp does it: "." and empty entries count, and what is
// not executable is passed over.
func TestPathIsSearchedAsExecvpDoes(t *testing.T) {
	t.Parallel()
	cwd := t.TempDir()
	first, second := filepath.Join(cwd, "first"), filepath.Join(cwd, "second")
	for _, dir := range []string{first, second, filepath.Join(first, "tool2")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{
		filepath.Join(cwd, "tool"):     "#!/bin/sh\necho here\n",
		filepath.Join(second, "tool"):  "#!/bin/sh\necho second\n",
		filepath.Join(second, "tool2"): "#!/bin/sh\necho second2\n",
		filepath.Join(first, "tool3"):  "#!/etc/passwd\n", // looks executable; execve says EACCES
		filepath.Join(second, "tool3"): "#!/bin/sh\necho second3\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(first, "tool"), []byte("not executable"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, tool, want, status string }{
		{"dot", "/bin:.", "tool", "here", "exit 0"},
		{"empty entry", "/nowhere::/bin", "tool", "here", "exit 0"},
		{"relative entry", "second:/bin", "tool", "second", "exit 0"},
		{"passes over what is not executable", first + ":" + second, "tool", "second", "exit 0"},
		{"passes over a directory", first + ":" + second, "tool2", "second2", "exit 0"},
		{"remembers what is not executable", first + ":/bin", "tool", "", "exit 126"},
		{"passes over what execve refuses", first + ":" + second, "tool3", "second3", "exit 0"},
		{"remembers what execve refuses", first + ":/bin", "tool3", "", "exit 126"},
		{"passes over a file as directory", "/etc/passwd:" + second, "tool", "second", "exit 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, wrapped(t, tt.tool)...)
			cmd.Dir = cwd
			cmd.Env = []string{helperEnv + "=1", "GORACE=" + os.Getenv("GORACE"), "PATH=" + tt.path}
			p := start(t, cmd)
			if tt.want != "" {
				p.expect(tt.want)
			}
			if got := p.status(); got != tt.status {
				t.Errorf("status = %s, want %s", got, tt.status)
			}
		})
	}
}

// The command's own core is dumped as it would be without us, ours is not.
func TestCoreOfTheCommandOnly(t *testing.T) {
	t.Parallel()
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil || strings.ContainsAny(string(pattern), "|/") {
		t.Skipf("cores do not go to the working directory: %q, %v", pattern, err)
	}
	dir := t.TempDir()
	p := start(t, inDir(command(t, wrapped(t, "/bin/sh", "-c", "ulimit -c unlimited; sleep 100 & kill -SEGV $!; wait $!; kill -SEGV $$")...), dir))
	if got := p.status(); got != "signal SEGV" {
		t.Errorf("status = %s, want signal SEGV without a core", got)
	}
	cores, err := filepath.Glob(filepath.Join(dir, "core*"))
	if err != nil || len(cores) == 0 {
		t.Errorf("cores = %v, %v, want the command's", cores, err)
	}
}

func inDir(cmd *exec.Cmd, dir string) *exec.Cmd {
	cmd.Dir = dir
	return cmd
}

// What looks a command up differs from system to system, and so do its errors.
func TestStartExit(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{fs.ErrNotExist, 127},
		{exec.ErrNotFound, 127},
		{fs.ErrPermission, 126},
		{errors.ErrUnsupported, 126},
	} {
		if got := startExit(fmt.Errorf("run %q: %w", "x", tt.err)).Code; got != tt.want {
			t.Errorf("%v: exit code %d, want %d", tt.err, got, tt.want)
		}
	}
}
