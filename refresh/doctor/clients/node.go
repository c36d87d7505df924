package clients

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
)

// node looks at a JavaScript program: the packages that it would load, nearest
// first, and which of them its script names.
func (l *looker) node(args []string) {
	l.r.Runtime = "Node.js"
	rest, typed := wrapper{values: "epCr", long: "--eval --print --require --import --loader --env-file --conditions"}.rest(args)
	script, source, dir := "", "", l.dir
	for _, o := range typed {
		if slices.Contains([]string{"-e", "--eval", "-p", "--print", "-pe"}, o.word) {
			source = o.value
		}
	}
	if source == "" && len(rest) > 0 {
		script = l.program(l.nodeScript(rest[0]))
		dir = filepath.Dir(resolved(script))
		source = text(script)
		rest = rest[1:]
	}
	for _, d := range upwards(dir) {
		l.nodeModules(filepath.Join(d, "node_modules"), source)
	}
	for _, d := range filepath.SplitList(l.getenv("NODE_PATH")) {
		l.nodeModules(l.abs(d), source)
	}
	l.looked("node_modules in %s and above", dir)
	l.source(source, script)
	l.profileFlag(append([]string{filepath.Base(script)}, rest...))
}

// nodeScript completes a module's path as Node.js does.
func (l *looker) nodeScript(name string) string {
	for _, ending := range []string{".js", ".cjs", "/index.js"} {
		if text(l.abs(name)) == "" && exists(l.abs(name)+ending) {
			return name + ending
		}
	}
	return name
}

// nodeModules finds clients in one node_modules directory. Named are those whose
// package, or a part of it, source has between quotes.
func (l *looker) nodeModules(dir, source string) {
	packages := []struct{ id, human, path, names string }{
		{"js3", "AWS SDK for JavaScript v3", "@aws-sdk/credential-provider-node", "@aws-sdk/"},
		{"js2", "AWS SDK for JavaScript v2", "aws-sdk", "aws-sdk aws-sdk/"},
		{"crt", "aws-crt", "aws-crt", "aws-crt"},
		{"rust", "lancedb (AWS SDK for Rust)", "@lancedb/lancedb", "@lancedb/"},
		{"duckdb", "DuckDB", "duckdb", "duckdb"},
		{"duckdb", "DuckDB", "@duckdb/node-api", "@duckdb/"},
	}
	for _, p := range packages {
		var manifest struct{ Version string }
		file := filepath.Join(dir, p.path, "package.json")
		if json.Unmarshal([]byte(text(file)), &manifest) != nil {
			continue
		}
		if p.id == "rust" || p.id == "crt" {
			manifest.Version = "" // not that of the client
		}
		named := slices.ContainsFunc(strings.Fields(p.names), func(name string) bool {
			return slices.ContainsFunc([]string{`"`, `'`, "`"}, func(quote string) bool {
				return strings.Contains(source, quote+name+quote) || strings.HasSuffix(name, "/") && strings.Contains(source, quote+name)
			})
		})
		l.found(Client{ID: p.id, Name: p.human, Version: manifest.Version, Where: filepath.Dir(file), Named: named})
	}
}
