package clients

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
)

// node looks at a JavaScript program: the packages that it would load, nearest
// first, and what is bundled into the script itself.
func (l *looker) node(args []string) {
	l.r.Runtime = "Node.js"
	script, text := "", ""
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		word := args[0]
		args = args[1:]
		switch word {
		case "-e", "--eval", "-p", "--print", "-pe":
			if len(args) > 0 {
				text = args[0]
			}
		case "-r", "--require", "--import", "--loader", "--env-file", "-C", "--conditions":
			args = args[min(1, len(args)):]
		}
		if text != "" {
			break
		}
	}
	dir := l.dir
	if text == "" && len(args) > 0 {
		script = l.nodeScript(args[0])
		l.program(args[0], script)
		dir = filepath.Dir(script)
		if real, err := filepath.EvalSymlinks(script); err == nil {
			dir = filepath.Dir(real)
		}
		text = l.text(script)
		args = args[1:]
	}
	for _, d := range upwards(dir) {
		l.nodeModules(filepath.Join(d, "node_modules"), text)
	}
	for _, d := range filepath.SplitList(l.getenv("NODE_PATH")) {
		l.nodeModules(l.abs(d), text)
	}
	l.looked("node_modules in %s and above", dir)
	l.reads(text, script)
	if len(l.r.Clients) == 0 && script != "" {
		l.scan(script)
	}
	l.profileFlag(append([]string{filepath.Base(script)}, args...))
}

// nodeScript completes a module's path as Node.js does.
func (l *looker) nodeScript(name string) string {
	path := l.abs(name)
	for _, candidate := range []string{path + ".js", path + ".cjs", filepath.Join(path, "index.js")} {
		if l.text(path) == "" && exists(candidate) {
			return candidate
		}
	}
	return path
}

// nodeModules finds clients in one node_modules directory.
func (l *looker) nodeModules(dir, text string) {
	packages := []struct{ id, human, name string }{
		{"js3", "AWS SDK for JavaScript v3", filepath.Join("@aws-sdk", "credential-provider-node")},
		{"js2", "AWS SDK for JavaScript v2", "aws-sdk"},
		{"crt", "aws-crt", "aws-crt"},
		{"rust", "lancedb (AWS SDK for Rust)", filepath.Join("@lancedb", "lancedb")},
		{"duckdb", "DuckDB", "duckdb"},
		{"duckdb", "DuckDB", filepath.Join("@duckdb", "node-api")},
	}
	if !exists(filepath.Join(dir, packages[0].name)) {
		for _, client := range glob(dir, "@aws-sdk", "client-*") {
			packages[0].name, _ = filepath.Rel(dir, client)
			break
		}
	}
	for _, p := range packages {
		var manifest struct{ Version string }
		file := filepath.Join(dir, p.name, "package.json")
		data := l.text(file)
		if data == "" || json.Unmarshal([]byte(data), &manifest) != nil {
			continue
		}
		c := Client{ID: p.id, Name: p.human, Version: manifest.Version, Where: filepath.Dir(file), Named: requires(text, p.id)}
		if p.id == "rust" || p.id == "crt" {
			c.Version = ""
		}
		l.found(c)
	}
}

// requires tells whether a script names one of a client's packages.
func requires(text, id string) bool {
	names := map[string][]string{"js3": {"@aws-sdk/"}, "js2": {"aws-sdk", "aws-sdk/"}, "crt": {"aws-crt"}, "rust": {"@lancedb/"}, "duckdb": {"duckdb", "@duckdb/"}}[id]
	return slices.ContainsFunc(names, func(name string) bool {
		for _, quote := range []string{`"`, `'`, "`"} {
			if strings.Contains(text, quote+name+quote) || strings.HasSuffix(name, "/") && strings.Contains(text, quote+name) {
				return true
			}
		}
		return false
	})
}
