package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestInstallRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "file"), nil, 0o600),
		os.MkdirAll(filepath.Join(dir, "taken", installedName(), "full"), 0o755),
		os.Mkdir(filepath.Join(dir, "old"), 0o755),
		os.WriteFile(filepath.Join(dir, "old", "brs-exec"), nil, 0o755),
		os.Symlink("gone", filepath.Join(dir, "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	withoutSettings(t)
	for _, test := range []struct {
		name string
		args []string // $D is the directory
		want string
	}{
		{"no directory", nil, "no directory to install to\nbrs-exec install DIR"},
		{"an empty one", []string{""}, "no directory to install to\nbrs-exec install DIR"},
		{"two", []string{"$D", "$D/x"}, "\"$D/x\" is one directory too many\nbrs-exec install DIR"},
		{"a command", []string{"$D", "--", "app"}, "install runs no command\nbrs-exec install DIR"},
		{"a flag", []string{"--force", "$D"}, "no flag is named --force\nbrs-exec help install lists them"},
		{"one that is not there", []string{"$D/gone"}, "install to $D/gone: no such file or directory\nname a directory that is there, as the mountPath of a volume is"},
		{"a link to nothing", []string{"$D/link"}, "install to $D/link: no such file or directory\nname a directory that is there, as the mountPath of a volume is"},
		{"the name of the copy", []string{"$D/brs-exec"}, "install to $D/brs-exec: no such file or directory\nname the directory alone: brs-exec install $D"},
		{"the copy", []string{"$D/old/brs-exec"}, "install to $D/old/brs-exec: not a directory\nname the directory alone: brs-exec install $D/old"},
		{"a file", []string{"$D/file"}, "install to $D/file: not a directory\n"},
		{"one where the name is a directory's", []string{"$D/taken"}, "install to $D/taken: brs-exec there is a directory\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.Contains(test.want, "install to") {
				t.Skip("the system says it in other words")
			}
			args := []string{"install"}
			for _, arg := range test.args {
				args = append(args, strings.ReplaceAll(arg, "$D", dir))
			}
			stdout, stderr, code := runQuietly(args...)
			text, hint, _ := strings.Cut(strings.ReplaceAll(test.want, "$D", dir), "\n")
			want := "brs-exec: error: " + text + "\n"
			if hint != "" {
				want += "brs-exec: hint: " + hint + "\n"
			}
			if code != exitFailed || stderr != want || stdout != "" {
				t.Errorf("exit code %d, %q, want %q", code, stderr, want)
			}
		})
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*", ".brs-exec*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// unreadable breaks off in the middle.
type unreadable struct{ io.Reader }

func (unreadable) Read([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestInstallBreaksOff: a copy that is not complete leaves the old one, and nothing beside it.
func TestInstallBreaksOff(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, installedName())
	if err := os.WriteFile(path, []byte("old"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := install(io.MultiReader(strings.NewReader("half"), unreadable{}), dir)
	if err == nil || !strings.HasPrefix(err.Error(), "install to "+dir+": ") {
		t.Errorf("got %v", err)
	}
	if now, err := os.ReadFile(path); string(now) != "old" || err != nil {
		t.Errorf("%q, %v in place of the old one", now, err)
	}
	if all, err := os.ReadDir(dir); len(all) != 1 || err != nil {
		t.Errorf("%v, %v besides the old one", all, err)
	}
}

func TestInstall(t *testing.T) {
	withoutSettings(t)
	dir := t.TempDir()
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, installedName())
	for _, test := range []struct {
		name string
		make func() error
	}{
		{"where nothing is", func() error { return nil }},
		{"over an older one", func() error { return os.WriteFile(path, []byte("old"), 0o600) }},
		{"over one that cannot be written", func() error { return os.WriteFile(path, []byte("old"), 0o400) }},
		{"over a link", func() error { return os.Symlink(other, path) }},
		{"over a link to nothing", func() error { return os.Symlink("gone", path) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			os.Remove(path)
			if err := test.make(); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Open(path)
			defer before.Close()
			stdout, stderr, code := runQuietly("install", dir)
			if code != 0 || stdout != "installed "+path+"\n" || stderr != "" {
				t.Fatalf("exit code %d, %q, %q", code, stdout, stderr)
			}
			info, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != 0o755 && runtime.GOOS != "windows" {
				t.Errorf("mode %v, want 0755", info.Mode())
			}
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			if !sameContent(t, self, path) {
				t.Error("the copy is another")
			}
			if text, err := io.ReadAll(before); before != nil && (err != nil || string(text) != "old" && string(text) != "other") {
				t.Errorf("who had the old one open reads %q, %v", text, err)
			}
			if all, err := os.ReadDir(dir); len(all) != 1 || err != nil {
				t.Errorf("%v, %v besides the copy", all, err)
			}
		})
	}
	if text, err := os.ReadFile(other); string(text) != "other" || err != nil {
		t.Errorf("what the link led to is %q, %v", text, err)
	}
}

func sameContent(t *testing.T, a, b string) bool {
	t.Helper()
	one, err1 := os.ReadFile(a)
	two, err2 := os.ReadFile(b)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return string(one) == string(two)
}
