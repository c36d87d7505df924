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
	p := pythonStart(args)
	version, sites := l.sites(exe, p)
	l.r.Runtime = strings.TrimSpace("Python " + version)
	own, where := l.dir, "the text of -c"
	switch {
	case p.module != "":
		p.text, where = l.module(p.module, append([]string{own}, sites...))
	case p.script != "":
		where = l.program(p.script)
		own = filepath.Dir(resolved(where))
		p.text = text(where)
	}
	imports := pythonImports(p.text)
	for _, site := range append([]string{own}, sites...) {
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
	l.source(p.text, where)
	l.profileFlag(append([]string{cmp.Or(p.script, p.module, "python")}, args...))
	l.arguments(append([]string{""}, args...))
}

// pythonProgram is what Python's command line says: a module, a script or its
// text, and which packages are not looked at.
type pythonProgram struct {
	module, script, text string
	noUser, noEnv        bool
}

func pythonStart(args []string) (p pythonProgram) {
	rest, typed := wrapper{values: "cmWX"}.rest(args)
	for _, o := range typed {
		letters, value := o.word[1:], o.value
		if letters[0] == '-' {
			continue
		}
		if i := strings.IndexAny(letters, "cmWX"); i >= 0 {
			letters, value = letters[:i+1], letters[i+1:]+value
		}
		p.noUser = p.noUser || strings.ContainsAny(letters, "sI")
		p.noEnv = p.noEnv || strings.ContainsAny(letters, "EI")
		switch {
		case strings.HasSuffix(letters, "m"):
			p.module = value
			return p
		case strings.HasSuffix(letters, "c"):
			p.text = value
			return p
		}
	}
	if len(rest) > 0 && rest[0] != "-" {
		p.script = rest[0]
	}
	return p
}

// sites are the directories that packages are installed in, in the order in
// which they are searched.
func (l *looker) sites(exe string, p pythonProgram) (version string, sites []string) {
	add := func(dirs ...string) {
		for _, dir := range dirs {
			if exists(dir) && !slices.Contains(sites, dir) {
				sites = append(sites, dir)
			}
		}
	}
	if !p.noEnv {
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
	if !p.noUser && version != "" && l.getenv("PYTHONNOUSERSITE") == "" {
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
