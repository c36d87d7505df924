//go:build unix

package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// goPackage is what `go list -json` tells of a package of the module.
type goPackage struct {
	ImportPath   string
	Name         string
	Dir          string
	GoFiles      []string
	Deps         []string // transitive
	TestImports  []string
	XTestImports []string
}

func modulePackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Dir,GoFiles,Deps,TestImports,XTestImports", "brs-exec/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// within tells whether path is the package tree or one below it.
func within(path, tree string) bool {
	return path == tree || strings.HasPrefix(path, tree+"/")
}

// TestLayers, which has a rule for each package, keeps data going one way: sources know nothing of files, files
// nothing of sources, and the supervisor nothing of either.
func TestLayers(t *testing.T) {
	const module, cli = "brs-exec", "brs-exec/refresh/cli"
	rules := []struct {
		from    string // a package tree, or with "=" in front one package
		allowed []string
	}{
		{"=brs-exec/supervisor", []string{"brs-exec/supervisor/job", "brs-exec/supervisor/siginfo", "brs-exec/supervisor/stage"}},
		{"brs-exec/supervisor/stage", []string{"brs-exec/supervisor/job", "brs-exec/supervisor/siginfo"}},
		{"brs-exec/supervisor/job", []string{"brs-exec/supervisor/siginfo"}},
		{"brs-exec/supervisor/siginfo", nil},
		{"brs-exec/supervisor/hook", nil},
		{"brs-exec/supervisor/logfile", nil},
		{"brs-exec/supervisor/runlock", []string{"brs-exec/writer/filelock"}},
		{"brs-exec/supervisor/sdnotify", nil},
		{"=brs-exec/refresh", nil},
		// Names of settings are shared: what one reads of a file the other must not leave behind in it.
		{"brs-exec/refresh/source", []string{"=brs-exec/refresh", "brs-exec/refresh/source", "=brs-exec/writer/ini", "=brs-exec/writer/filelock"}},
		{"=brs-exec/refresh/source/logincache", []string{"=brs-exec/refresh", "=brs-exec/writer/filelock"}},
		{"=brs-exec/refresh/source/keyfile", []string{"=brs-exec/refresh"}},
		{"=brs-exec/writer/ini", nil},
		{"=brs-exec/writer/filelock", nil},
		{"brs-exec/refresh/doctor/clients", nil},
		{"=brs-exec/writer/pathsafe", nil},
		{"brs-exec/refresh/plan", []string{"brs-exec/refresh/plan", "=brs-exec/refresh", "brs-exec/refresh/source", "brs-exec/writer", "brs-exec/supervisor"}},
		{"brs-exec/refresh/run", []string{"brs-exec/refresh/plan", "=brs-exec/refresh", "brs-exec/refresh/source", "brs-exec/writer", "brs-exec/supervisor"}},
		{"brs-exec/refresh/doctor", []string{"brs-exec/refresh/doctor", "brs-exec/refresh/plan", "=brs-exec/refresh", "brs-exec/refresh/source", "brs-exec/writer", "brs-exec/supervisor"}},
		{"brs-exec/refresh/simulator", []string{"brs-exec/refresh/simulator"}},
		{"=brs-exec/writer/replace", []string{"=brs-exec/writer/pathsafe", "=brs-exec/writer/filelock"}},
		{"=brs-exec/writer/process", nil},
		{"=brs-exec/writer/rundir", []string{"=brs-exec/writer/pathsafe", "=brs-exec/writer/filelock", "=brs-exec/writer/process"}},
		{"=brs-exec/writer/endpoint", []string{"=brs-exec/writer/process"}},
		{"=brs-exec/writer/stale", []string{"=brs-exec/writer/process"}},
		{"=brs-exec/writer/shared", []string{
			"=brs-exec/writer/replace", "=brs-exec/writer/pathsafe", "=brs-exec/writer/filelock", "=brs-exec/writer/ini",
			"=brs-exec/writer/rundir", "=brs-exec/writer/process", // for a directory where nothing can be made beside the file
		}},
		{"=brs-exec/writer/process/early", []string{"=brs-exec/writer/process"}},
		{"=brs-exec/writer", []string{
			"=brs-exec/writer/rundir", "=brs-exec/writer/ini", "=brs-exec/writer/process", "=brs-exec/writer/pathsafe", "=brs-exec/writer/filelock",
		}},
		{"brs-exec/writer", []string{"brs-exec/writer"}},
		{"brs-exec/integration", []string{"brs-exec/integration"}},
	}
	matches := func(path, pattern string) bool {
		if exact, ok := strings.CutPrefix(pattern, "="); ok {
			return path == exact
		}
		return within(path, pattern)
	}
	packages := modulePackages(t)
	for _, rule := range rules {
		found := false
		for _, p := range packages {
			if !matches(p.ImportPath, rule.from) {
				continue
			}
			found = true
			imports := p.Deps
			if within(p.ImportPath, "brs-exec/integration") {
				imports = slices.Concat(imports, p.TestImports, p.XTestImports)
			}
			for _, dep := range imports {
				if !within(dep, module) || dep == p.ImportPath {
					continue
				}
				if !slices.ContainsFunc(rule.allowed, func(a string) bool { return matches(dep, a) }) {
					t.Errorf("%s reaches %s", p.ImportPath, dep)
				}
			}
		}
		if !found {
			t.Errorf("no package matches %q: has it moved?", rule.from)
		}
	}
	for _, p := range packages {
		ruled := p.ImportPath == module || p.ImportPath == cli // which know all
		for _, rule := range rules {
			ruled = ruled || matches(p.ImportPath, rule.from)
		}
		if !ruled {
			t.Errorf("%s has no rule", p.ImportPath)
		}
		if p.ImportPath != module && p.ImportPath != cli && slices.Contains(p.Deps, "brs-exec/refresh/simulator") {
			t.Errorf("%s reaches the simulator, which is for the demonstration in cli alone", p.ImportPath)
		}
		if p.ImportPath != module && slices.Contains(p.Deps, cli) {
			t.Errorf("%s reaches cli, which is for main alone", p.ImportPath)
		}
	}
}

// beforeMain do their work, and end the program, before main is initialised.
var beforeMain = []string{"brs-exec/writer/process/early", "brs-exec/supervisor/stage"}

// TestOnlyMainSpeaks keeps every word that a user reads, and every exit, in
// packages main and cli.
func TestOnlyMainSpeaks(t *testing.T) {
	checked := 0
	for _, p := range modulePackages(t) {
		if p.Name == "main" || p.ImportPath == "brs-exec/refresh/cli" || slices.Contains(beforeMain, p.ImportPath) {
			continue
		}
		for _, name := range p.GoFiles {
			checked++
			for _, found := range speech(t, filepath.Join(p.Dir, name), nil) {
				t.Errorf("%s: only main and cli do that", found)
			}
		}
	}
	if checked < 10 {
		t.Errorf("%d files were checked, want at least 10", checked)
	}
}

func TestSpeechIsFound(t *testing.T) {
	const loud = `package loud
import ("fmt"; "log"; "os"; "log/slog")
func f() {
	fmt.Println("x")
	fmt.Fprintf(os.Stderr, "x")
	log.Fatal("x")
	os.Exit(1)
	println("x")
	slog.Info("x")
	os.Stdout.WriteString("x")
}
func quiet() { _ = fmt.Sprint("x"); _ = os.Getpid() }
`
	if got := speech(t, "loud.go", []byte(loud)); len(got) != 7 {
		t.Errorf("found %d, want 7: %q", len(got), got)
	}
}

// speech lists the calls in a file that print or exit; src is its text, nil to
// read it from path.
func speech(t *testing.T, path string, src any) []string {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name := dotted(call.Fun)
		for _, arg := range call.Args {
			if strings.HasPrefix(name, "fmt.Fprint") && (dotted(arg) == "os.Stderr" || dotted(arg) == "os.Stdout") {
				found = append(found, files.Position(n.Pos()).String()+": "+name+" to "+dotted(arg))
			}
		}
		if speaks(name) {
			found = append(found, files.Position(n.Pos()).String()+": "+name)
		}
		return true
	})
	return found
}

func speaks(name string) bool {
	switch name {
	case "os.Exit", "syscall.Exit", "print", "println":
		return true
	case "slog.Debug", "slog.Info", "slog.Warn", "slog.Error", "slog.Log", "slog.Default":
		return true // the process-wide logger
	}
	return strings.HasPrefix(name, "fmt.Print") ||
		strings.HasPrefix(name, "log.Print") || strings.HasPrefix(name, "log.Fatal") || strings.HasPrefix(name, "log.Panic") ||
		strings.HasPrefix(name, "os.Stdout.Write") || strings.HasPrefix(name, "os.Stderr.Write")
}

// dotted is the text of a selector such as os.Stderr, or "".
func dotted(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if x := dotted(e.X); x != "" {
			return x + "." + e.Sel.Name
		}
	}
	return ""
}
