package clients

import (
	"encoding/json"
	"path/filepath"
	"strings"
)

// ruby looks for the SDK's core gem: in the project's lock file, which decides,
// and in the places that gems are installed in.
func (l *looker) ruby(exe string, args []string) {
	l.r.Runtime = "Ruby"
	dirs := []string{l.dir}
	script := l.script1(args, "IrCx")
	named := false
	if script != "" {
		text := l.text(script)
		l.reads(text, script)
		named = strings.Contains(text, "aws-sdk") || strings.Contains(text, "Aws::")
		dirs = append(upwards(filepath.Dir(script)), dirs...)
	}
	core := func(version, where string) {
		l.found(Client{ID: "ruby", Name: "AWS SDK for Ruby (aws-sdk-core)", Version: version, Where: where, Named: named})
	}
	for _, dir := range dirs {
		lock := filepath.Join(dir, "Gemfile.lock")
		for line := range strings.Lines(l.text(lock)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "aws-sdk-core ("); ok && strings.HasSuffix(v, ")") && strings.Trim(v, "0123456789.)") == "" {
				core(strings.TrimSuffix(v, ")"), lock)
			}
		}
	}
	if real, err := filepath.EvalSymlinks(exe); err == nil {
		exe = real
	}
	prefix, home := filepath.Dir(filepath.Dir(exe)), l.getenv("HOME")
	var gems []string
	for _, list := range []string{"GEM_HOME", "GEM_PATH"} {
		gems = append(gems, filepath.SplitList(l.getenv(list))...)
	}
	for _, pattern := range []string{
		filepath.Join(l.dir, "vendor", "bundle", "ruby", "*"),
		filepath.Join(home, ".gem", "ruby", "*"), filepath.Join(home, ".local", "share", "gem", "ruby", "*"),
		filepath.Join(prefix, "lib", "ruby", "gems", "*"), filepath.Join(prefix, "local", "lib", "ruby", "gems", "*"),
		filepath.Join(filepath.Dir(prefix), "var", "lib", "gems", "*"), // Debian
		filepath.Join(prefix, "share", "rubygems-integration", "*"),
	} {
		gems = append(gems, glob(pattern)...)
	}
	for _, dir := range gems {
		best := ""
		for _, spec := range glob(dir, "specifications", "aws-sdk-core-*.gemspec") {
			v := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(spec), "aws-sdk-core-"), ".gemspec")
			if best == "" || Older(best, v) {
				best = v
			}
		}
		if best != "" {
			core(best, filepath.Join(dir, "specifications"))
		}
	}
	l.looked("Gemfile.lock, and the gems in %s", strings.Join(gems, ", "))
}

// script1 is the script of an interpreter whose options with these letters take
// a value; "" if there is none.
func (l *looker) script1(args []string, values string) string {
	rest, options := wrapper{values: values}.rest(args)
	for _, o := range options {
		if strings.HasSuffix(o.word, "e") && !strings.HasPrefix(o.word, "--") || o.word == "-r" && !strings.Contains(values, "r") {
			return ""
		}
	}
	if len(rest) == 0 {
		return ""
	}
	script := l.abs(rest[0])
	l.program(rest[0], script)
	return script
}

// php looks for the SDK among Composer's packages.
func (l *looker) php(args []string) {
	l.r.Runtime = "PHP"
	dir := l.dir
	if script := l.script1(args, "dcz"); script != "" {
		dir = filepath.Dir(script)
	}
	for _, d := range append(upwards(dir), l.dir) {
		file := filepath.Join(d, "vendor", "composer", "installed.json")
		var installed struct {
			Packages []struct{ Name, Version string }
		}
		if json.Unmarshal([]byte(l.text(file)), &installed) != nil {
			continue
		}
		for _, p := range installed.Packages {
			if p.Name == "aws/aws-sdk-php" {
				l.found(Client{ID: "php", Name: "AWS SDK for PHP", Version: p.Version, Where: file, Named: true})
			}
		}
	}
	l.looked("vendor/composer in %s and above", dir)
}

// dotnet reads the list of assemblies beside a program.
func (l *looker) dotnet(args []string) {
	l.r.Runtime = ".NET"
	for _, word := range args {
		if !strings.HasSuffix(word, ".dll") {
			continue
		}
		dll := l.abs(word)
		l.step(dll)
		file := strings.TrimSuffix(dll, ".dll") + ".deps.json"
		l.looked("%s", file)
		var deps struct{ Libraries map[string]any }
		if json.Unmarshal([]byte(l.text(file)), &deps) != nil {
			return
		}
		for name := range deps.Libraries {
			if v, ok := strings.CutPrefix(name, "AWSSDK.Core/"); ok {
				l.found(Client{ID: "dotnet", Name: "AWS SDK for .NET", Version: v, Where: file, Named: true})
			}
		}
		return
	}
}
