//go:build unix

package integration

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	mod "golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// TestGoInstall: `go install` takes this tree from a proxy as it takes any other module,
// and what it makes knows its version.
func TestGoInstall(t *testing.T) {
	slow(t)
	t.Parallel()
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	tree := strings.TrimSpace(string(root))
	modules, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	says, err := exec.Command(brsExec(t), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	number, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(string(says), "brs-exec ")), "+") // that of the last commit
	version := mod.Version{Path: module, Version: "v" + number}
	proxy, bin, cache := t.TempDir(), t.TempDir(), t.TempDir()
	dir := filepath.Join(proxy, module, "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	archive, err := os.Create(filepath.Join(dir, version.Version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	goMod, err := os.ReadFile(filepath.Join(tree, "go.mod"))
	if err := errors.Join(err, zip.CreateFromDir(archive, version, tree), archive.Close(),
		os.WriteFile(filepath.Join(dir, version.Version+".mod"), goMod, 0o644),
		os.WriteFile(filepath.Join(dir, version.Version+".info"), []byte(`{"Version":"`+version.Version+`"}`), 0o644),
		os.WriteFile(filepath.Join(dir, "list"), []byte(version.Version+"\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{version.Version, "latest"} {
		// A cache of modules of its own: this version is not what everybody gets by the name.
		// The others come from the one that the tests were built with.
		cmd := exec.Command("go", "install", module+"@"+query)
		cmd.Dir = bin
		cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOMODCACHE="+cache, "GOFLAGS=-trimpath -modcacherw", "CGO_ENABLED=0", "GONOSUMDB=*", "GOWORK=off",
			"GOPROXY=file://"+proxy+",file://"+filepath.Join(strings.TrimSpace(string(modules)), "cache", "download")+",off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		out, err := exec.Command(filepath.Join(bin, "brs-exec"), "--version").CombinedOutput()
		if want := "brs-exec " + number + "\n"; err != nil || string(out) != want {
			t.Errorf("@%s: %v, %q, want %q", query, err, out, want)
		}
		out, err = exec.Command(filepath.Join(bin, "brs-exec"), "version").CombinedOutput()
		if want := "commit: that of the tag " + version.Version + "\n"; err != nil || !strings.Contains(string(out), want) {
			t.Errorf("@%s: %v, %q, want %q in it", query, err, out, want)
		}
	}
}
