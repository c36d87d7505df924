package clients

import (
	"path/filepath"
	"regexp"
	"strings"
)

// locked finds a client and its version in the file in which a program's
// packages are listed. The first group of pattern is the version.
func (l *looker) locked(file, pattern string, c Client) {
	if v := regexp.MustCompile(pattern).FindStringSubmatch(text(file)); v != nil {
		c.Version, c.Where = v[1], file
		l.found(c)
	}
}

// ruby looks for the SDK's core gem: in the project's lock file, which decides,
// and in the places that gems are installed in.
func (l *looker) ruby(exe string, args []string) {
	l.r.Runtime = "Ruby"
	dirs := []string{l.dir}
	core := Client{ID: "ruby", Name: "AWS SDK for Ruby (aws-sdk-core)"}
	if script := l.script(args, "e", "IrCx"); script != "" {
		source := text(script)
		l.source(source, script)
		core.Named = strings.Contains(source, "aws-sdk") || strings.Contains(source, "Aws::")
		dirs = append(upwards(filepath.Dir(script)), l.dir)
	}
	for _, dir := range dirs {
		l.locked(filepath.Join(dir, "Gemfile.lock"), `(?m)^\s*aws-sdk-core \(([\d.]+)\)`, core)
	}
	prefix, home := filepath.Dir(filepath.Dir(resolved(exe))), l.getenv("HOME")
	gems := append(filepath.SplitList(l.getenv("GEM_HOME")), filepath.SplitList(l.getenv("GEM_PATH"))...)
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
		core.Version, core.Where = "", filepath.Join(dir, "specifications")
		for _, spec := range glob(core.Where, "aws-sdk-core-*.gemspec") {
			v := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(spec), "aws-sdk-core-"), ".gemspec")
			if core.Version == "" || older(core.Version, v) {
				core.Version = v
			}
		}
		if core.Version != "" {
			l.found(core)
		}
	}
	l.looked("Gemfile.lock, and the gems in %s", strings.Join(gems, ", "))
}

// php looks for the SDK among Composer's packages.
func (l *looker) php(args []string) {
	l.r.Runtime = "PHP"
	dir := l.dir
	if script := l.script(args, "r", "dcz"); script != "" {
		dir = filepath.Dir(script)
	}
	for _, d := range append(upwards(dir), l.dir) {
		l.locked(filepath.Join(d, "vendor", "composer", "installed.json"), `"aws/aws-sdk-php",\s*"version":\s*"v?([\d.]+)`,
			Client{ID: "php", Name: "AWS SDK for PHP", Named: true})
	}
	l.looked("vendor/composer in %s and above", dir)
}

// dotnet reads the list of assemblies beside a program.
func (l *looker) dotnet(args []string) {
	l.r.Runtime = ".NET"
	for _, word := range args {
		if dll, ok := strings.CutSuffix(word, ".dll"); ok {
			l.program(word)
			file := l.abs(dll + ".deps.json")
			l.looked("%s", file)
			l.locked(file, `"AWSSDK\.Core/([\d.]+)"`, Client{ID: "dotnet", Name: "AWS SDK for .NET", Named: true})
			return
		}
	}
}
