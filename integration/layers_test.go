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
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func modulePackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Dir,GoFiles,Imports,TestImports,XTestImports", module+"/...")
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

const module = "brs-exec.example/brs-exec"

// rooms are the packages, from the bottom up, and what of ours each may import: rooms
// that stand before it alone. Data goes one way: sources know nothing of files, files
// nothing of sources, and the supervisor nothing of either.
var rooms = []struct{ room, imports string }{
	{"writer/filelock", ""},
	{"writer/ini", ""},
	{"writer/pathsafe", ""},
	{"writer/process", ""},
	{"writer/process/early", "writer/process"},
	{"writer/sign/services", ""},
	{"writer/sign/sigv4", ""},
	{"writer/loopback", ""},
	{"writer/endpoint", "writer/loopback writer/pathsafe writer/process"},
	{"writer/sign/authority", "writer/pathsafe"},
	{"writer/sign", "writer/loopback writer/pathsafe writer/sign/authority writer/sign/services writer/sign/sigv4"},
	{"writer/stale", "writer/process"},
	{"writer/replace", "writer/filelock writer/pathsafe"},
	{"writer/rundir", "writer/filelock writer/pathsafe writer/process"},
	{"writer/shared", "writer/filelock writer/ini writer/pathsafe writer/replace writer/rundir"}, // rundir: where nothing can be made beside the file
	{"writer/volume", "writer/filelock writer/ini writer/pathsafe writer/process writer/replace"},
	{"writer", "writer/ini writer/process writer/rundir"},
	{"writer/writertest", ""}, // which no room but a test imports

	{"supervisor/siginfo", ""},
	{"supervisor/job", "supervisor/siginfo"},
	{"supervisor/stage", "supervisor/job supervisor/siginfo"},
	{"supervisor/hook", ""},
	{"supervisor/logfile", ""},
	{"supervisor/runlock", "writer/filelock"},
	{"supervisor/sdnotify", ""},
	{"supervisor", "supervisor/job supervisor/siginfo supervisor/stage"},

	{"refresh", ""},
	{"refresh/control", "refresh writer/pathsafe"},
	{"refresh/source/keyfile", "refresh"},
	{"refresh/source/logincache", "refresh writer/filelock"},
	{"refresh/source/cache", "writer/filelock writer/pathsafe"},
	{"refresh/source", "refresh refresh/source/cache refresh/source/keyfile refresh/source/logincache writer/ini"},
	{"refresh/simulator", ""}, // for the demonstration and the rehearsal in cli alone
	{"refresh/rehearsal", "refresh"},
	{"refresh/metrics", "refresh supervisor writer/pathsafe"},
	{"refresh/events", "refresh supervisor writer/pathsafe"},
	{"refresh/plan", "refresh refresh/events refresh/metrics refresh/source refresh/source/keyfile supervisor writer writer/pathsafe writer/replace writer/shared writer/sign/authority writer/sign/services"},
	{"refresh/run", "refresh refresh/control refresh/events refresh/metrics refresh/plan refresh/rehearsal refresh/source supervisor supervisor/hook supervisor/sdnotify supervisor/stage " +
		"writer writer/endpoint writer/filelock writer/process writer/shared writer/sign writer/stale writer/volume"},
	{"refresh/doctor/clients", ""},
	{"refresh/doctor", "refresh refresh/doctor/clients refresh/plan refresh/source refresh/source/cache supervisor supervisor/runlock writer writer/filelock writer/ini"},
	{"refresh/cli", "refresh refresh/control refresh/doctor refresh/plan refresh/rehearsal refresh/run refresh/simulator refresh/source supervisor supervisor/logfile " +
		"supervisor/runlock writer writer/filelock writer/pathsafe writer/process writer/replace writer/rundir"},
	{"", "refresh/cli supervisor/stage writer/process/early"}, // main
}

// TestLayers holds that each package is a room that imports what it may, and that
// integration, with its tests, imports nothing of them.
func TestLayers(t *testing.T) {
	may := map[string][]string{} // by import paths
	for _, r := range rooms {
		path := strings.TrimSuffix(module+"/"+r.room, "/")
		for _, name := range strings.Fields(r.imports) {
			below := module + "/" + name
			if _, ok := may[below]; !ok {
				t.Errorf("%s may import %s, which does not stand before it", path, below)
			}
			may[path] = append(may[path], below)
		}
		if _, ok := may[path]; !ok {
			may[path] = nil
		}
	}
	found := map[string]bool{}
	for _, p := range modulePackages(t) {
		found[p.ImportPath] = true
		const blackBox = module + "/integration"
		imports, allowed := p.Imports, func(path string) bool { return slices.Contains(may[p.ImportPath], path) }
		if within(p.ImportPath, blackBox) {
			imports = slices.Concat(imports, p.TestImports, p.XTestImports)
			allowed = func(path string) bool { return within(path, blackBox) }
		} else if _, ok := may[p.ImportPath]; !ok {
			t.Errorf("%s is no room: give it one, above all that it imports", p.ImportPath)
		}
		for _, path := range imports {
			if within(path, module) && !allowed(path) {
				t.Errorf("%s imports %s", p.ImportPath, path)
			}
		}
	}
	for path := range may {
		if !found[path] {
			t.Errorf("there is no package %s: has it moved?", path)
		}
	}
}

// beforeMain do their work, and end the program, before main is initialised.
var beforeMain = []string{module + "/writer/process/early", module + "/supervisor/stage"}

// TestOnlyMainSpeaks keeps every word that a user reads, and every exit, in
// packages main and cli.
func TestOnlyMainSpeaks(t *testing.T) {
	checked := 0
	for _, p := range modulePackages(t) {
		if p.Name == "main" || p.ImportPath == module+"/refresh/cli" || slices.Contains(beforeMain, p.ImportPath) {
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
