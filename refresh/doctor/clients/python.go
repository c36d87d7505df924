package clients

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
)

// python looks at a Python interpreter, where its packages are and what the
// script says. The rules are those of CPython's site module.
func (l *looker) python(exe string, args []string) {
	p := &pythonStart{user: l.getenv("PYTHONNOUSERSITE") == "", env: true}
	p.parse(args)
	version, sites := l.sites(exe, p)
	l.r.Runtime = strings.TrimSpace("Python " + version)
	switch {
	case p.module != "":
		sites = slices.Insert(sites, 0, l.dir)
		p.text, p.where = l.moduleText(p.module, sites)
	case p.script != "":
		p.where = l.abs(p.script)
		if real, err := filepath.EvalSymlinks(p.where); err == nil {
			sites = slices.Insert(sites, 0, filepath.Dir(real))
		}
		if p.script != "-" {
			l.program(p.script, p.where)
		}
		p.text = l.text(p.where)
	case p.text != "":
		p.where = "the text of -c"
		sites = slices.Insert(sites, 0, l.dir)
	}
	imports := pythonImports(p.text)
	for _, site := range sites {
		l.pythonSite(site, imports)
	}
	if tool, _, ok := toolOf(p.script); ok && p.script != "" {
		l.tool(tool, imports)
	}
	l.pythonTraps(p.text, p.where)
	l.profileFlag(append([]string{cmp.Or(p.script, p.module, "python")}, p.rest...))
	l.confFlags(append([]string{""}, p.rest...))
}

// tool makes a script that is a known tool the only client: whatever else is
// installed beside it is not its own.
func (l *looker) tool(tool Client, imports []string) {
	for _, c := range l.r.Clients {
		if c.ID == tool.ID {
			tool.Version, tool.Where = c.Version, c.Where
		}
	}
	l.r.Clients = []Client{tool}
}

// pythonStart is what Python's command line says.
type pythonStart struct {
	user, env   bool // look at the user's packages, the variables
	module      string
	script      string
	text, where string // of the program
	rest        []string
}

func (p *pythonStart) parse(args []string) {
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if !strings.HasPrefix(word, "-") || word == "-" {
			p.script, p.rest = word, args
			return
		}
		if strings.HasPrefix(word, "--") {
			continue
		}
		for i, c := range word[1:] {
			value := word[i+2:]
			if strings.ContainsRune("cmWX", c) && value == "" && len(args) > 0 {
				value, args = args[0], args[1:]
			}
			switch c {
			case 's':
				p.user = false
			case 'E':
				p.env = false
			case 'I':
				p.user, p.env = false, false
			case 'c':
				p.text, p.rest = value, args
				return
			case 'm':
				p.module, p.rest = value, args
				return
			}
			if c == 'W' || c == 'X' {
				break
			}
		}
	}
}

// sites are the directories that packages are installed in, in the order in
// which they are searched.
func (l *looker) sites(exe string, p *pythonStart) (version string, sites []string) {
	add := func(dir string) {
		if exists(dir) && !slices.Contains(sites, dir) {
			sites = append(sites, dir)
		}
	}
	if p.env {
		for _, dir := range filepath.SplitList(l.getenv("PYTHONPATH")) {
			add(l.abs(dir))
		}
	}
	system := exe
	if root, cfg := l.venv(exe); root != "" {
		version = libVersion(root)
		for _, dir := range siteDirs(root, version) {
			add(dir)
		}
		if !strings.EqualFold(cfg["include-system-site-packages"], "true") {
			l.looked("the packages of the virtual environment %s", root)
			return version, sites
		}
		system = filepath.Join(cfg["home"], filepath.Base(exe))
	}
	if real, err := filepath.EvalSymlinks(system); err == nil {
		system = real
	}
	prefix := filepath.Dir(filepath.Dir(system))
	if v := strings.TrimSuffix(filepath.Base(system), ".exe"); strings.Contains(v, ".") {
		version = strings.TrimPrefix(strings.TrimPrefix(v, "python"), "pypy")
	}
	if version == "" {
		version = libVersion(prefix)
	}
	if p.user && version != "" {
		base := l.getenv("PYTHONUSERBASE")
		if base == "" {
			base = filepath.Join(l.getenv("HOME"), ".local")
		}
		add(filepath.Join(base, "lib", "python"+version, "site-packages"))
	}
	for _, dir := range siteDirs(prefix, version) {
		add(dir)
	}
	l.looked("the packages of %s", strings.Join(append([]string{system}, sites...), ", "))
	return version, sites
}

// venv is the virtual environment that exe belongs to, which its place tells,
// not what it is a link to.
func (l *looker) venv(exe string) (root string, cfg map[string]string) {
	for _, dir := range []string{filepath.Dir(exe), filepath.Dir(filepath.Dir(exe))} {
		text := l.text(filepath.Join(dir, "pyvenv.cfg"))
		if text == "" {
			continue
		}
		cfg = map[string]string{}
		for line := range strings.Lines(text) {
			key, value, _ := strings.Cut(line, "=")
			cfg[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
		return dir, cfg
	}
	return "", nil
}

// siteDirs are the package directories below a prefix: those of Python itself,
// and Debian's.
func siteDirs(prefix, version string) []string {
	python := "python" + version
	return []string{
		filepath.Join(prefix, "local", "lib", python, "dist-packages"),
		filepath.Join(prefix, "lib", python, "site-packages"),
		filepath.Join(prefix, "lib64", python, "site-packages"),
		filepath.Join(prefix, "lib", "python3", "dist-packages"),
		filepath.Join(prefix, "lib", python, "dist-packages"),
		filepath.Join(prefix, "Lib", "site-packages"),
	}
}

// libVersion is the newest version that has a library below prefix.
func libVersion(prefix string) (version string) {
	for _, dir := range append(glob(prefix, "lib", "python[23].*"), glob(prefix, "lib64", "python[23].*")...) {
		if v := strings.TrimPrefix(filepath.Base(dir), "python"); version == "" || Older(version, v) {
			version = v
		}
	}
	return version
}
