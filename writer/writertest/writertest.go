// Package writertest is what the tests of writer's rooms have in common: files as
// they want them, and processes that are the test binary itself.
package writertest

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Put writes a file of this mode, whatever the umask.
func Put(t testing.TB, path, content string, perm os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, perm); err != nil {
		t.Fatal(err)
	}
}

// Read returns the content of a file.
func Read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Contents returns the files of a directory by name, with what they hold, where they
// lead, or the error that reading them is.
func Contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, name := range Names(t, dir) {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if to, lerr := os.Readlink(path); lerr == nil {
			data = []byte(to)
		} else if err != nil {
			data = []byte(err.Error())
		}
		got[name] = string(data)
	}
	return got
}

// Holds fails unless the directory holds exactly these files, by name and content.
func Holds(t testing.TB, dir string, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, Contents(t, dir)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", dir, diff)
	}
}

// Names lists a directory in order.
func Names(t testing.TB, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// OpenDir returns a temporary directory of mode 0755, whatever the umask.
func OpenDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// WantMode checks the permissions of a file. On Windows they are not what protects
// files, and it checks nothing.
func WantMode(t testing.TB, path string, want os.FileMode) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Error(err)
	} else if info.Mode().Perm() != want {
		t.Errorf("mode of %s = %04o, want %04o", path, info.Mode().Perm(), want)
	}
}

// NeedRoot skips the test of whoever is not root.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// helperVariable names the helper that the test binary is to be, for Main.
const helperVariable = "BRS_WRITER_TEST_HELPER"

// Main runs the tests or, in a process that [Command] made, the helper of that name.
// It returns the exit code.
func Main(m *testing.M, helpers map[string]func(args []string) error) int {
	name := os.Getenv(helperVariable)
	if name == "" {
		return m.Run()
	}
	if err := helpers[name](os.Args[1:]); err != nil {
		panic(name + ": " + err.Error())
	}
	return 0
}

// Command returns the command that runs a helper, which is killed when the test
// ends or hangs.
func Command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Env = append(os.Environ(), helperVariable+"="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

// Start starts a helper and returns the first line that it prints. It lives until
// its standard input is closed, or it is killed.
func Start(t testing.TB, name string, args ...string) (*exec.Cmd, io.Closer, string) {
	t.Helper()
	cmd := Command(t, name, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("helper %s said %q: %v", name, line, err)
	}
	return cmd, stdin, strings.TrimSuffix(line, "\n")
}

// CheckKept fails unless every line of before that is surely not of our keys is in
// after, in the same order and with the same bytes.
func CheckKept(t testing.TB, before, after string, keys ...string) {
	t.Helper()
	rest := strings.SplitAfter(after, "\n")
	for _, line := range strings.SplitAfter(before, "\n") {
		ours := line != "" && (line[0] == ' ' || line[0] == '\t') // may belong to a key above
		for _, key := range keys {
			name := strings.ToLower(strings.TrimSpace(strings.TrimPrefix(line, "\ufeff")))
			ours = ours || strings.HasPrefix(name, key)
		}
		if ours || line == "" {
			continue
		}
		for len(rest) > 0 && rest[0] != line && strings.TrimRight(rest[0], "\r\n") != strings.TrimRight(line, "\r") {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			t.Fatalf("line %q is gone or has moved: %q", line, after)
		}
		rest = rest[1:]
	}
}
