package plan

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestNamesInTexts: a flag that a message, a hint or an Error names is there.
func TestNamesInTexts(t *testing.T) {
	t.Parallel()
	known := append(names(AllFlags()), "help", "version", "life", "check", "ready", "wide", "watch", "timeout", "be-the-command") // of subcommands
	known = append(known, "accept-role-session-name", "clear-lockout", "endpoint-type", "fcs-skip", "id", "list-all", "list-objects",
		"list-slots", "login", "module", "pids-limit", "read-object", "some-flag", "thing-name", "type", "wait") // of other programs
	flag := regexp.MustCompile(`(?:^|[^\w-])--([a-z][a-z0-9-]*)`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "clients" {
			return fs.SkipDir // the flags of all programs that there are
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			var said []string
			switch n := n.(type) {
			case *ast.BasicLit:
				if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					for _, m := range flag.FindAllStringSubmatch(text, -1) {
						said = append(said, strings.TrimSuffix(m[1], "-"))
					}
				}
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Flag" {
					if lit, ok := n.Value.(*ast.BasicLit); ok {
						name, _ := strconv.Unquote(lit.Value)
						said = append(said, name)
					}
				}
			}
			for _, name := range said {
				if !slices.Contains(known, name) {
					t.Errorf("%s: no flag is named --%s", path, name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
