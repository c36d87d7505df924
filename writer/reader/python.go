package reader

import (
	"cmp"
	"os"
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
		l.step(p.where)
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

// pythonClient knows Python packages: by the name that they are installed under,
// and by the modules that are imported.
func pythonClient(name string) (id, human string, ok bool) {
	switch name {
	case "boto3", "botocore", "aiobotocore", "aioboto3", "s3fs", "awswrangler", "s3transfer":
		return "botocore", "botocore", true
	case "awscli":
		return "awscli", "AWS CLI", true
	case "boto":
		return "boto", "boto 2", true
	case "awscrt":
		return "crt", "awscrt", true
	case "pyarrow":
		return "cpp", "pyarrow (AWS SDK for C++)", true
	case "lancedb":
		return "rust", "lancedb (AWS SDK for Rust)", true
	case "deltalake", "obstore":
		return "object_store", name + " (Rust object_store)", true
	case "duckdb":
		return "duckdb", "DuckDB", true
	case "gdal", "osgeo":
		return "gdal", "GDAL", true
	case "rasterio", "fiona", "pyogrio":
		return "gdal", name + " (GDAL)", true
	case "s3cmd":
		return "s3cmd", "s3cmd", true
	case "pyspark":
		return "s3a", "pyspark (Hadoop S3A)", true
	}
	return "", "", false
}

// pythonSite finds the clients that are installed in one directory.
func (l *looker) pythonSite(site string, imports []string) {
	entries, err := os.ReadDir(site)
	if err != nil {
		return
	}
	for _, e := range entries {
		name, version, ok := distribution(e.Name())
		if !ok {
			// A package that was copied there, without what an installer writes.
			if (name == "botocore" || name == "boto3") && e.IsDir() && len(glob(site, name+"-*-info")) == 0 {
				version = l.moduleVersion(filepath.Join(site, name, "__init__.py"))
				ok = version != ""
			}
			if !ok {
				continue
			}
		}
		id, human, known := pythonClient(name)
		if !known {
			continue
		}
		c := Client{ID: id, Name: human, Version: version, Where: filepath.Join(site, e.Name()), Named: named(id, imports)}
		switch {
		case id == "botocore" && name != "botocore", human != name && strings.HasSuffix(human, "(GDAL)"):
			c.Version = "" // the version is not that of the client
		case id == "cpp" || id == "rust" || id == "object_store" || id == "crt" || id == "s3a":
			c.Name, c.Version = human+", as of "+name+" "+version, ""
		}
		if strings.HasSuffix(human, "(GDAL)") {
			for _, lib := range glob(site, name+".libs", "libgdal*.so.*") {
				c.Version = gdalVersion(filepath.Base(lib))
			}
		}
		l.found(c)
	}
}

// named tells whether a program that imports these modules names a client.
func named(id string, imports []string) bool {
	return slices.ContainsFunc(imports, func(module string) bool {
		other, _, ok := pythonClient(module)
		return ok && other == id
	})
}

// distribution splits the name of what an installer leaves beside a package:
// boto3-1.44.8.dist-info, GDAL-3.6.2.egg-info.
func distribution(file string) (name, version string, ok bool) {
	for _, suffix := range []string{".dist-info", ".egg-info", ".egg"} {
		if rest, is := strings.CutSuffix(file, suffix); is {
			name, version, _ = strings.Cut(rest, "-")
			version, _, _ = strings.Cut(version, "-") // -py3.11
			return strings.ToLower(name), version, true
		}
	}
	return strings.ToLower(file), "", false
}

func (l *looker) moduleVersion(file string) string {
	for line := range strings.Lines(l.text(file)) {
		if rest, ok := strings.CutPrefix(line, "__version__ = "); ok {
			return strings.Trim(strings.TrimSpace(rest), `'"`)
		}
	}
	return ""
}

// moduleText finds the source of -m MODULE.
func (l *looker) moduleText(module string, sites []string) (text, where string) {
	path := filepath.Join(strings.Split(module, ".")...)
	for _, site := range sites {
		for _, file := range []string{path + ".py", filepath.Join(path, "__main__.py")} {
			if file = filepath.Join(site, file); exists(file) {
				l.step(file)
				return l.text(file) + "\nimport " + module + "\n", file
			}
		}
	}
	l.looked("module %s, which was not found", module)
	return "import " + module + "\n", "-m " + module
}

// pythonImports are the top names of the modules that a source file imports.
func pythonImports(text string) (list []string) {
	for line := range strings.SplitSeq(strings.ReplaceAll(text, ";", "\n"), "\n") {
		words := strings.Fields(strings.ReplaceAll(line, ",", " , "))
		if len(words) < 2 || words[0] != "import" && words[0] != "from" {
			continue
		}
		next := true
		for _, w := range words[1:] {
			if w == "," {
				next = true
				continue
			}
			if next {
				top, _, _ := strings.Cut(w, ".")
				list = append(list, strings.ToLower(top))
			}
			next = false
			if words[0] == "from" {
				break
			}
		}
	}
	return list
}

// pythonTraps minds what a script does with credentials, as far as words tell.
func (l *looker) pythonTraps(text, where string) {
	for line := range strings.Lines(text) {
		code, _, _ := strings.Cut(line, "#")
		compact := strings.ReplaceAll(code, " ", "")
		if strings.Contains(compact, "get_frozen_credentials(") {
			l.trap(CopiesKeys, "get_frozen_credentials()", where)
		}
		if i := strings.Index(compact, "aws_access_key_id="); i >= 0 && !strings.HasPrefix(compact[i:], "aws_access_key_id=None") {
			l.trap(PassesKeys, "aws_access_key_id=", where)
		}
		for _, quote := range []string{`"`, `'`} {
			if _, rest, ok := strings.Cut(compact, "profile_name="+quote); ok {
				if name, _, ok := strings.Cut(rest, quote); ok && name != "" {
					l.trap(SelectsProfile, name, where)
				}
			}
			if strings.Contains(compact, "environ["+quote+"AWS_ACCESS_KEY_ID"+quote+"]=") {
				l.trap(SetsVariable, "AWS_ACCESS_KEY_ID", where)
			}
		}
	}
}
