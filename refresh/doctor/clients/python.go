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
	p := pythonStart{user: l.getenv("PYTHONNOUSERSITE") == "", env: true}
	p.parse(args)
	version, sites := l.sites(exe, p)
	l.r.Runtime = strings.TrimSpace("Python " + version)
	where := "the text of -c"
	switch {
	case p.module != "":
		sites = slices.Insert(sites, 0, l.dir)
		p.text, where = l.module(p.module, sites)
	case p.script != "" && p.script != "-":
		where = l.program(p.script)
		sites = slices.Insert(sites, 0, filepath.Dir(resolved(where)))
		p.text = text(where)
	default:
		sites = slices.Insert(sites, 0, l.dir)
	}
	imports := pythonImports(p.text)
	for _, site := range sites {
		l.pythonSite(site, imports)
	}
	if tool, _, ok := toolOf(p.script); ok { // whatever else is installed beside it is not its own
		for _, c := range l.r.Clients {
			if c.ID == tool.ID {
				tool.Version, tool.Where = c.Version, c.Where
			}
		}
		l.r.Clients = []Client{tool}
	}
	l.pythonTraps(p.text, where)
	l.profileFlag(append([]string{cmp.Or(p.script, p.module, "python")}, p.rest...))
	l.arguments(append([]string{""}, p.rest...))
}

// pythonStart is what Python's command line says.
type pythonStart struct {
	user, env bool // look at the user's packages, the variables
	module    string
	script    string
	text      string // of the program
	rest      []string
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
func (l *looker) sites(exe string, p pythonStart) (version string, sites []string) {
	add := func(dirs ...string) {
		for _, dir := range dirs {
			if exists(dir) && !slices.Contains(sites, dir) {
				sites = append(sites, dir)
			}
		}
	}
	if p.env {
		for _, dir := range filepath.SplitList(l.getenv("PYTHONPATH")) {
			add(l.abs(dir))
		}
	}
	system := exe
	if root, home, alone := venv(exe); root != "" {
		version = libVersion(root)
		add(siteDirs(root, version)...)
		if alone {
			l.looked("the packages of the virtual environment %s", root)
			return version, sites
		}
		system = filepath.Join(home, filepath.Base(exe))
	}
	system = resolved(system)
	prefix := filepath.Dir(filepath.Dir(system))
	if v := strings.TrimSuffix(filepath.Base(system), ".exe"); strings.Contains(v, ".") {
		version = strings.TrimPrefix(strings.TrimPrefix(v, "python"), "pypy")
	}
	version = cmp.Or(version, libVersion(prefix))
	if p.user && version != "" {
		base := cmp.Or(l.getenv("PYTHONUSERBASE"), filepath.Join(l.getenv("HOME"), ".local"))
		add(filepath.Join(base, "lib", "python"+version, "site-packages"))
	}
	add(siteDirs(prefix, version)...)
	l.looked("the packages of %s", strings.Join(append([]string{system}, sites...), ", "))
	return version, sites
}

// venv is the virtual environment that exe belongs to, which its place tells,
// not what it is a link to: its root, the directory of the Python that it was
// made with, and whether that one's packages are left out. root is "" if there
// is none.
func venv(exe string) (root, home string, alone bool) {
	for _, dir := range []string{filepath.Dir(exe), filepath.Dir(filepath.Dir(exe))} {
		alone = true
		for line := range strings.Lines(text(filepath.Join(dir, "pyvenv.cfg"))) {
			key, value, _ := strings.Cut(line, "=")
			switch value = strings.TrimSpace(value); strings.ToLower(strings.TrimSpace(key)) {
			case "home":
				root, home = dir, value
			case "include-system-site-packages":
				alone = !strings.EqualFold(value, "true")
			}
		}
		if root != "" {
			break
		}
	}
	return root, home, alone
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
		if v := strings.TrimPrefix(filepath.Base(dir), "python"); version == "" || older(version, v) {
			version = v
		}
	}
	return version
}
