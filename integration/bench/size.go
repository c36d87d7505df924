//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func (b bench) size() error {
	t := table{name: "size", title: "size", how: "of the program's file", head: []string{"program", "MB"}}
	for _, p := range []struct{ name, path string }{
		{"floor", b.floor}, {"brs-exec, release build", b.brsExec}, {"brs-exec, go build", b.plain},
	} {
		info, err := os.Stat(p.path)
		if err != nil {
			return err
		}
		t.row(p.name, fmt.Sprintf("%.2f", float64(info.Size())/1e6))
	}
	b.report.add(t)
	return nil
}

// source is one package of the module.
type source struct {
	ImportPath   string
	Name         string
	Dir          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	// Those for other systems count as well: somebody has to read them.
	IgnoredGoFiles []string
}

// code counts lines and exported names for each package.
func code(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Name,Dir,GoFiles,TestGoFiles,XTestGoFiles,IgnoredGoFiles", "brs-exec.example/brs-exec/...").Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	fmt.Printf("code                                   lines   in tests   exported names (without methods and fields)\n")
	var lines, tests, names int
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var s source
		if err := d.Decode(&s); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		l, t, n, err := s.count()
		if err != nil {
			return err
		}
		fmt.Printf("  %-36s %6d %8d %8d\n", s.ImportPath, l, t, n)
		if !strings.HasPrefix(s.ImportPath, "brs-exec.example/brs-exec/integration") {
			lines, tests, names = lines+l, tests+t, names+n
		}
	}
	fmt.Printf("  %-36s %6d %8d %8d\n", "all but integration", lines, tests, names)
	return nil
}

func (s source) count() (lines, tests, names int, err error) {
	exported := map[string]bool{}
	for _, name := range append(append(append(s.GoFiles, s.IgnoredGoFiles...), s.TestGoFiles...), s.XTestGoFiles...) {
		path := filepath.Join(s.Dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, 0, 0, err
		}
		n := bytes.Count(text, []byte("\n"))
		if strings.HasSuffix(name, "_test.go") {
			tests += n
			continue
		}
		lines += n
		if s.Name == "main" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		if err != nil {
			return 0, 0, 0, err
		}
		for _, name := range declared(file) {
			exported[name] = true
		}
	}
	return lines, tests, len(exported), nil
}

// declared lists the exported names of a file's top level.
func declared(file *ast.File) []string {
	var names []string
	add := func(id *ast.Ident) {
		if id.IsExported() {
			names = append(names, id.Name)
		}
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				add(d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					add(spec.Name)
				case *ast.ValueSpec:
					for _, id := range spec.Names {
						add(id)
					}
				}
			}
		}
	}
	return names
}
